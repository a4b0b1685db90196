//! MACO: its pictures and gradients against the author's package horama (`scripts/reference/maco.py`), and where its magnitudes come from.

use crate::common::{answer, host, method, picture, session, tiny, uniform};
use candle_core::{Device, Tensor};
use gradscope::data::{synthetic, write_npy};
use gradscope::render::{Body, Figure};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn find<'a>(figures: &'a [Figure], title: &str) -> &'a Figure {
    figures.iter().find(|f| f.title == title).unwrap_or_else(|| panic!("no {title}"))
}

/// A picture from given phases and magnitudes, its gradient for given weights of the pixels, and its own magnitudes.
const GIVEN: &str = r#"
import "lib/maco" as maco;
const PLUGIN = #{ group: "test", params: [param("phase", array(), "φ"), param("magnitude", array(), "r"), param("weight", array(), "w")] };
fn run(cx) {
    let p = cx.params;
    let x = maco::painted(p.phase, p.magnitude, p.weight.size(3));
    let g = maco::through_paint(p.weight, x, p.phase, p.magnitude);
    [sheet(x.flatten(1), "picture"), sheet(g.flatten(1), "gradient"), sheet(maco::magnitude(x).flatten(1), "magnitude")]
}
"#;

#[test]
fn pictures_and_their_gradients_agree_with_horama() {
    let reference: Value = serde_json::from_str(include_str!("../fixtures/maco.json")).unwrap();
    let (host, folder) = (host(), tempfile::TempDir::new().unwrap());
    for case in reference["cases"].as_array().unwrap() {
        let [h, w] = [0, 1].map(|i: usize| case["size"][i].as_u64().unwrap() as usize);
        let half = [1, 3, h, w / 2 + 1];
        let count = half.iter().product();
        let phase = uniform(1, count).into_iter().map(|v| (3.0 * f64::from(v)) as f32).collect::<Vec<_>>();
        let magnitude = uniform(2, count).into_iter().map(|v| (f64::from(v).abs() + 0.1) as f32).collect::<Vec<_>>();
        let mut session = session(&host);
        session.open(method(&host, GIVEN));
        let weight = uniform(3, 3 * h * w);
        for (name, shape, values) in
            [("phase", half, phase), ("magnitude", half, magnitude), ("weight", [1, 3, h, w], weight)]
        {
            let file = folder.path().join(format!("{name}.npy"));
            write_npy(&file, &shape, &values).unwrap();
            session.set(name, file.to_str().unwrap()).unwrap();
        }
        let figures = session.run(&host).unwrap_or_else(|e| panic!("{e:#}")).figures;
        for (name, bound) in [("picture", 1e-6), ("gradient", 1e-6), ("magnitude", 1e-4)] {
            let (ours, theirs) = (&find(&figures, name).values().unwrap().data, numbers(&case[name]));
            assert_eq!(ours.len(), theirs.len(), "{name}");
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert!((f64::from(*ours) - theirs).abs() < bound, "{h}x{w} {name}: {ours} instead of {theirs}");
            }
        }
    }
}

#[test]
fn the_inverse_transform_undoes_the_transform_and_its_transpose_is_exact_at_every_size() {
    let host = host();
    for (h, w) in [(1, 1), (1, 8), (5, 2), (7, 9), (8, 6)] {
        let body = format!(
            r#"import "lib/maco" as maco;
            const PLUGIN = #{{ group: "test" }};
            fn run(cx) {{
                let x = cx.randn([2, 3, {h}, {w}]);
                let f = #{{ re: cx.randn([2, 3, {h}, {half}]), im: cx.randn([2, 3, {h}, {half}]) }};
                let d = maco::adjoint(x);
                let apart = (maco::inverse(f, {w}) * x).sum() - (f.re * d.re + f.im * d.im).sum();
                [text(`${{(maco::inverse(maco::transform(x), {w}) - x).abs().max()}} ${{apart.abs()}}`, "errors")]
            }}"#,
            half = w / 2 + 1
        );
        let mut session = session(&host);
        session.open(method(&host, &body));
        let figures = session.run(&host).unwrap_or_else(|e| panic!("{e:#}")).figures;
        let Body::Text { text } = &figures[0].body else { panic!("no text") };
        for error in text.split(' ') {
            assert!(error.parse::<f64>().unwrap() < 1e-4, "{h}x{w}: {text}");
        }
    }
}

#[test]
fn a_crop_interpolates_linearly_and_stays_in_the_picture() {
    let errors = answer(
        r#"import "lib/priors" as priors;
        let ramp = arange(10).reshape([10, 1]);
        let middle = 3.0 + 0.4 * (ramp + 0.5) - 0.5;
        let end = 6.0 + 0.4 * (ramp + 0.5) - 0.5;
        [(priors::stretch(10, 1.0, 0.2) - eye(10)).abs().max(), (priors::stretch(10, 0.4, 0.5).matmul(ramp) - middle).abs().max(),
         (priors::stretch(10, 0.4, 1.3).matmul(ramp) - end.clamp(0.0, 9.0)).abs().max()]"#,
    );
    for error in errors.trim_matches(['[', ']']).split(", ") {
        assert!(error.parse::<f64>().unwrap() < 1e-5, "{errors}");
    }
}

/// The figures of `activation_maximization` with MACO after some steps.
fn maco(host: &Host, session: &mut Session, set: &[(&str, &str)], steps: usize) -> anyhow::Result<Vec<Figure>> {
    session.open(host.method("activation_maximization").unwrap());
    session.set("preset", "maco").unwrap();
    set.iter().for_each(|(name, value)| session.set(name, value).unwrap_or_else(|e| panic!("{name}: {e:#}")));
    let mut frame = session.run(host)?;
    for _ in 0..steps {
        frame = session.step(host)?;
    }
    Ok(frame.figures)
}

fn caption(figures: &[Figure]) -> String {
    let Body::Montage { captions, .. } = &find(figures, "masked").body else { panic!("no montage") };
    captions[0].clone()
}

#[test]
fn the_caption_says_where_the_magnitudes_come_from() {
    let host = host();
    let flat = Tensor::full(0.5f32, (1, 3, 8, 8), &Device::Cpu).unwrap();
    let alone = |x: &Tensor| Session::new(&host, tiny(), "picture", x.clone()).unwrap();
    let of = |session: &mut Session, set: &[(&str, &str)]| caption(&maco(&host, session, set, 1).unwrap());
    assert_eq!(of(&mut session(&host), &[]), "magnitude: 5 pictures");
    assert_eq!(of(&mut session(&host), &[("pictures", "2")]), "magnitude: 2 pictures");
    assert_eq!(of(&mut session(&host), &[("magnitude", "picture")]), "magnitude: picture");
    assert_eq!(of(&mut alone(&picture()), &[]), "magnitude: picture");
    assert_eq!(of(&mut alone(&flat), &[]), "magnitude: 1/f");
    let error = format!("{:#}", maco(&host, &mut alone(&flat), &[("magnitude", "data")], 0).unwrap_err());
    assert!(error.contains("--data"), "{error}");
    let error = format!("{:#}", maco(&host, &mut alone(&picture()), &[("from", "picture")], 0).unwrap_err());
    assert!(error.contains("random phases") && error.contains("robust"), "{error}");
}

#[test]
fn the_mask_fades_to_white_what_hardly_received_gradients() {
    let model =
        Architectures::new(Folders::models(None).embedded_only(), &Default::default()).open("shapes", None).unwrap();
    let x = synthetic::open("welcome").unwrap().batch(&[0], &model.card.preprocess()).unwrap();
    let host = host();
    let mut session = Session::new(&host, model, "welcome", x).unwrap();
    session.set_target(Some(3)).unwrap();
    let figures = maco(&host, &mut session, &[("magnitude", "1/f")], 40).unwrap();
    let [made, masked] = ["maximized", "masked"].map(|title| find(&figures, title).values().unwrap().data.to_vec());
    assert_eq!(made.len(), masked.len());
    let pairs = || made.iter().zip(&masked);
    assert!(pairs().all(|(x, m)| m - x > -1e-6 && *m <= 1.0 + 1e-6), "the mask darkens the picture");
    let opaque = pairs().filter(|(x, m)| (*m - *x).abs() < 1e-6).count() as f64 / made.len() as f64;
    assert!((0.19..0.3).contains(&opaque), "{opaque} of the picture is opaque");
    // Crops are near the center: the corners, 16 x 16 pixels each, hardly receive gradients.
    let place = |i: usize| (i / 128 % 128, i % 128);
    let corner = |i: usize| [place(i).0, place(i).1].iter().all(|p| !(16..112).contains(p));
    let (count, sum) = (0..masked.len()).filter(|i| corner(*i)).fold((0, 0.0), |(n, s), i| (n + 1, s + masked[i]));
    assert!(sum / count as f32 > 0.85, "the corners are {} bright", sum / count as f32);
    let probability = session.scalars().pop().unwrap().into_iter().find(|(name, _)| name == "probability").unwrap().1;
    assert!(probability > 0.9, "{probability}");
}

#[test]
fn a_run_can_change_from_maco_to_another_preset_and_back() {
    let host = host();
    let mut session = session(&host);
    maco(&host, &mut session, &[], 2).unwrap();
    for preset in ["robust", "maco", "decay_blur", "maco"] {
        session.set("preset", preset).unwrap();
        let frame = session.step(&host).unwrap_or_else(|e| panic!("{preset}: {e:#}"));
        let masked = frame.figures.iter().any(|f| f.title == "masked");
        assert_eq!(masked, preset == "maco", "{preset}");
    }
}
