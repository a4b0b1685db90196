//! Fidelity measures of maps: their definitions against SciPy and PyTorch, and properties that hold for every network.
//!
//! The expected values are in `tests/fixtures/fidelity.json`, `road.json` and `mprt.json`, written by the scripts of the same names in
//! `scripts/reference`.

use crate::common::{LABELS, answer, host, picture, session, uniform};
use candle_core::{Device, Tensor};
use gradscope::graph::{Builder, op};
use gradscope::model::{Card, Model};
use gradscope::render::{Body, Figure};
use gradscope::script::architecture::Architectures;
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// Rows of tables.
const ROAD: &str = "ROAD: (LeRF - MoRF) / 2";
const RISE: &str = "relative rise of complexity";

fn reference() -> Value {
    serde_json::from_str(include_str!("../fixtures/fidelity.json")).unwrap()
}

fn map() -> Tensor {
    Tensor::from_vec(uniform(7, 64), (1, 1, 8, 8), &Device::Cpu).unwrap()
}

/// A map that is `value` at each of `places` and 0 elsewhere.
fn spots(places: &[usize], value: f32) -> Tensor {
    let values = (0..64).map(|i| if places.contains(&i) { value } else { 0.0 }).collect::<Vec<_>>();
    Tensor::from_vec(values, (1, 1, 8, 8), &Device::Cpu).unwrap()
}

/// The final figures of a measure; it evaluates `map`, or a method's map if `None`.
fn ask(session: &mut Session, host: &Host, measure: &str, map: Option<Tensor>, set: &[(&str, &str)]) -> Vec<Figure> {
    session.open(host.method(measure).expect("it compiles"));
    for (name, value) in set {
        session.set(name, value).unwrap_or_else(|e| panic!("{name}={value}: {e:#}"));
    }
    if let Some(map) = map {
        session.give("given", map).expect("a map");
    }
    let mut frame = session.run(host).unwrap_or_else(|e| panic!("{measure}: {e:#}"));
    while session.can_go_on() {
        frame = session.step(host).unwrap_or_else(|e| panic!("{measure}: {e:#}"));
    }
    frame.figures
}

/// The same on the tiny network, for class 2.
fn measured(measure: &str, map: Option<Tensor>, set: &[(&str, &str)]) -> Vec<Figure> {
    let host = host();
    let mut session = session(&host);
    session.set_target(Some(2)).expect("a class");
    ask(&mut session, &host, measure, map, set)
}

/// The number in the table row with this name, in column `column`.
fn cell(figures: &[Figure], row: &str, column: usize) -> f64 {
    let rows = figures.iter().filter_map(|f| match &f.body {
        Body::Table { rows, .. } => Some(rows),
        _ => None,
    });
    let found = rows.flatten().find(|r| r[0] == row).unwrap_or_else(|| panic!("no row \"{row}\" in {figures:?}"));
    found[column].parse().expect("a number")
}

fn curve(figures: &[Figure], label: &str) -> Vec<f64> {
    let series = figures.iter().filter_map(|f| match &f.body {
        Body::Line { series, .. } => series.iter().find(|s| s.label == label),
        _ => None,
    });
    series.flat_map(|s| &s.points).map(|p| f64::from(p.1)).collect()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn near(ours: f64, theirs: f64, bound: f64) {
    assert!((ours - theirs).abs() <= bound, "{ours} instead of {theirs}");
}

/// A network with one linear layer without a bias, after its normalization.
fn linear() -> Model {
    let tiny = crate::common::tiny();
    let mut b = Builder::new(&[3, 8, 8]);
    let (mean, std) = (tiny.card.mean.clone(), tiny.card.std.clone());
    let x = b.add("normalize", op::Normalize { mean, std }, &[0]).unwrap();
    let x = b.add("flatten", op::Flatten, &[x]).unwrap();
    let x = b.add("fc", op::Linear { input: 192, output: LABELS.len(), bias: false }, &[x]).unwrap();
    let weight = Tensor::from_vec(uniform(5, 192 * 5), (5, 192), &Device::Cpu).unwrap();
    let graph = b.finish(x).unwrap().with_weights([("fc.weight".to_string(), weight)].into()).unwrap();
    let card = Card { name: "linear".into(), ..(*tiny.card).clone() };
    Model { card: Arc::new(card), graph: Arc::new(graph), hash: "linear".into(), taken: "".into() }
}

fn of_linear(measure: &str, set: &[(&str, &str)]) -> Vec<Figure> {
    let host = host();
    let mut session = Session::new(&host, linear(), "picture", picture()).unwrap();
    ask(&mut session, &host, measure, None, set)
}

#[test]
fn deletion_and_insertion_match_rise() {
    let figures = measured("deletion_insertion", Some(map()), &[("steps", "16")]);
    let theirs = reference();
    for name in ["deletion", "insertion"] {
        let ours = curve(&figures, name);
        let expected: Vec<f64> = theirs[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        assert_eq!(ours.len(), expected.len());
        ours.iter().zip(&expected).for_each(|(a, b)| near(*a, *b, 1e-6));
    }
    near(cell(&figures, "rise", 1), theirs["deletion_area"].as_f64().unwrap(), 1e-6);
    near(cell(&figures, "rise", 2), theirs["insertion_area"].as_f64().unwrap(), 1e-6);
    near(cell(&figures, "trapezoid", 2), 16.0 * cell(&figures, "rise", 2), 1e-9);
}

#[test]
fn pixel_flipping_replaces_regions_in_order_and_averages_the_drops() {
    let set = [("region", "2"), ("replace", "mean")];
    let figures = measured("pixel_flipping", Some(map()), &set);
    let theirs = reference();
    near(cell(&figures, "most relevant first", 1), theirs["aopc_most"].as_f64().unwrap(), 1e-5);
    near(cell(&figures, "least relevant first", 1), theirs["aopc_least"].as_f64().unwrap(), 1e-5);
    let ends: Vec<_> = ["most relevant first", "least relevant first", "at random"]
        .map(|n| curve(&figures, n))
        .map(|c| (c[0], c[16]))
        .to_vec();
    assert!(ends.iter().all(|e| (e.0 - ends[0].0).abs() < 1e-5 && (e.1 - ends[0].1).abs() < 1e-5), "{ends:?}");
}

#[test]
fn road_matches_pytorch_grad_cam() {
    let theirs: Value = serde_json::from_str(include_str!("../fixtures/road.json")).unwrap();
    let figures = measured("road", Some(map()), &[("noise", "0")]);
    for (label, name) in [("most relevant first", "most"), ("least relevant first", "least")] {
        let (ours, expected) = (curve(&figures, label), numbers(&theirs[name]));
        assert_eq!(ours.len(), expected.len() + 1, "the whole picture comes first");
        ours[1..].iter().zip(&expected).for_each(|(a, b)| near(*a, *b, 1e-6));
    }
    near(cell(&figures, ROAD, 1), theirs["road"].as_f64().unwrap(), 1e-6);
}

#[test]
fn imputed_pictures_match_pytorch_grad_cam() {
    let theirs: Value = serde_json::from_str(include_str!("../fixtures/road.json")).unwrap();
    let list = |values: &[f64]| values.iter().map(|v| format!("{v:.9}")).collect::<Vec<_>>().join(", ");
    let x: Vec<_> = uniform(11, 24 * 32).into_iter().map(|v| 0.5 + 0.5 * f64::from(v)).collect();
    let in_hole = |i: i32| (i / 32 - 12).pow(2) + (i % 32 - 16).pow(2) < 121 && i % 7 != 0;
    let hole: Vec<_> = (0..24 * 32).map(|i| f64::from(u8::from(in_hole(i)))).collect();
    let scattered: Vec<_> = uniform(12, 24 * 32).into_iter().map(|v| f64::from(u8::from(v < 0.8))).collect();
    for (name, removed) in [("hole", hole), ("scattered", scattered)] {
        let (x, removed, expected) = (list(&x), list(&removed), list(&numbers(&theirs[name])));
        let body = format!(
            "import \"lib/imputation\" as imputation;\nlet shape = [1, 1, 24, 32];\n\
             let y = imputation::linear(tensor([{x}]).reshape(shape), tensor([{removed}]).reshape(shape));\n\
             (y.flatten() - tensor([{expected}])).abs().max()"
        );
        near(answer(&body).parse().unwrap(), 0.0, 1e-6);
    }
}

#[test]
fn road_of_a_reversed_map_has_the_opposite_sign() {
    let ours = cell(&measured("road", Some(map()), &[("noise", "0")]), ROAD, 1);
    let reversed = cell(&measured("road", Some(map().neg().unwrap()), &[("noise", "0")]), ROAD, 1);
    assert!(ours.abs() > 1e-4, "{ours}");
    near(reversed, -ours, 1e-6);
}

#[test]
fn road_removes_the_given_part_of_a_constant_map_and_adds_the_given_noise() {
    let x = picture().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let filled = |noise: &str| {
        let set = [("percentages", "20 80"), ("noise", noise)];
        let figures = measured("road", Some(map().ones_like().unwrap()), &set);
        let figure = figures.iter().find(|f| f.title == "most relevant removed").expect("a picture");
        figure.values().unwrap().data.to_vec()
    };
    let (quiet, noisy) = (filled("0"), filled("0.5"));
    let changed = (0..64).filter(|i| quiet[*i] != x[*i]).count();
    assert_eq!(changed, 63 * 8 / 10 + 1, "the values from the 20th percentile up, of 64");
    let squares = (0..192).filter(|i| quiet[*i] != x[*i]).map(|i| {
        let std = [0.25, 0.25, 0.5][i / 64];
        ((noisy[i] - quiet[i]) / std).powi(2)
    });
    near(f64::from(squares.sum::<f32>() / 153.0).sqrt(), 0.5, 0.1);
}

#[test]
fn road_asks_for_percentages_between_1_and_99() {
    let host = host();
    let mut session = session(&host);
    session.open(host.method("road").expect("it compiles"));
    for wrong in ["", "0", "50 100"] {
        session.set("percentages", wrong).expect("any text");
        let error = format!("{:#}", session.run(&host).expect_err("no percentages"));
        assert!(error.contains("must list percentages from 1 to 99"), "{wrong}: {error}");
    }
}

#[test]
fn gini_index_and_entropy_match_their_papers() {
    let figures = measured("sparseness", Some(map()), &[]);
    near(cell(&figures, "Gini index", 1), reference()["gini"].as_f64().unwrap(), 1e-5);
    near(cell(&figures, "entropy", 1), reference()["entropy"].as_f64().unwrap(), 1e-5);
    let one = measured("sparseness", Some(spots(&[13], -2.0)), &[]);
    near(cell(&one, "Gini index", 1), 1.0 - 1.0 / 64.0, 1e-6);
    near(cell(&one, "entropy", 1), 0.0, 1e-6);
    let even = measured("sparseness", Some(map().ones_like().unwrap()), &[]);
    near(cell(&even, "Gini index", 1), 0.0, 1e-6);
    near(cell(&even, "entropy / ln N", 1), 1.0, 1e-6);
}

#[test]
fn rank_correlation_matches_spearman_with_shared_ranks() {
    let theirs = reference();
    let body = |values: &str| {
        format!("import \"lib/fidelity\" as f; f::spearman(tensor({:?}), tensor({values}))", uniform(7, 64))
    };
    let ours: f64 = answer(&body(&theirs["other"].to_string())).parse().unwrap();
    near(ours, theirs["spearman"].as_f64().unwrap(), 1e-9);
    let itself: f64 = answer(&body(&format!("{:?}", uniform(7, 64)))).parse().unwrap();
    near(itself, 1.0, 1e-12);
}

#[test]
fn the_exact_map_of_a_linear_network_has_zero_infidelity() {
    let gradient = [("method", "guided_backprop"), ("settings", "rule=gradient"), ("samples", "64")];
    let figures = of_linear("infidelity", &gradient);
    assert!(cell(&figures, "mean square of f(x) - f(x - I)", 1) > 1.0);
    near(cell(&figures, "infidelity", 1), 0.0, 1e-7);
    near(cell(&figures, "the best factor", 1), 1.0, 1e-5);
    let share = [("method", "integrated_gradients"), ("change", "square"), ("multiplied", "true"), ("samples", "64")];
    let figures = of_linear("infidelity", &share);
    assert!(cell(&figures, "mean square of f(x) - f(x - I)", 1) > 0.01);
    near(cell(&figures, "infidelity", 1), 0.0, 1e-7);
}

#[test]
fn the_infidelity_of_a_zero_map_is_the_mean_squared_score_change() {
    let figures = measured("infidelity", Some(spots(&[], 0.0)), &[]);
    near(cell(&figures, "infidelity", 1), cell(&figures, "mean square of f(x) - f(x - I)", 1), 1e-9);
    assert!(cell(&figures, "infidelity with the best factor", 1) <= cell(&figures, "infidelity", 1) + 1e-9);
}

#[test]
fn a_constant_map_has_zero_sensitivity_and_a_gradient_does_not() {
    let fixed = measured("max_sensitivity", Some(map()), &[]);
    assert_eq!(cell(&fixed, "max-sensitivity", 1), 0.0);
    let gradient = measured("max_sensitivity", None, &[("radius", "0.1")]);
    assert!(cell(&gradient, "max-sensitivity", 1) > 0.0);
    assert!(cell(&gradient, "average sensitivity", 1) <= cell(&gradient, "max-sensitivity", 1));
    assert_eq!(cell(&measured("max_sensitivity", None, &[("radius", "0")]), "max-sensitivity", 1), 0.0);
}

#[test]
fn randomizing_the_network_changes_a_gradient_but_not_a_map_that_ignores_the_network() {
    let gradient = measured("randomization", None, &[]);
    let signed = curve(&gradient, "signed");
    assert_eq!(signed.len(), 4, "as learned, and three layers with weights");
    assert_eq!(signed[0], 1.0);
    assert!(signed[1..].iter().all(|r| *r < 0.9), "{signed:?}");
    let fixed = measured("randomization", Some(map()), &[]);
    assert!(curve(&fixed, "signed").iter().chain(&curve(&fixed, "magnitude")).all(|r| (r - 1.0).abs() < 1e-6));
}

#[test]
fn smooth_and_efficient_mprt_match_quantus_in_every_order() {
    let theirs: Value = serde_json::from_str(include_str!("../fixtures/mprt.json")).unwrap();
    let samples = theirs["samples"].to_string();
    for order in ["cascading", "bottom_up", "independent"] {
        for (samples, name) in [("1", "plain"), (&*samples, "smooth")] {
            let gradient = [("method", "guided_backprop"), ("settings", "rule=gradient")];
            let figures =
                measured("randomization", None, &[&gradient[..], &[("order", order), ("samples", samples)]].concat());
            for kind in ["signed", "magnitude"] {
                let (ours, expected) = (curve(&figures, kind), numbers(&theirs[order][name][kind]));
                assert_eq!(ours.len(), expected.len() + 1, "as learned comes first");
                ours[1..].iter().zip(&expected).for_each(|(a, b)| near(*a, *b, 1e-5));
                let mean = expected.iter().sum::<f64>() / expected.len() as f64;
                near(cell(&figures, &format!("mean correlation, {kind}"), 1), mean, 1e-5);
            }
            if name == "plain" {
                let (ours, expected) = (curve(&figures, "entropy in nats"), numbers(&theirs[order]["complexity"]));
                assert_eq!(ours.len(), expected.len());
                ours.iter().zip(&expected).for_each(|(a, b)| near(*a, *b, 1e-5));
            }
            let whole = order != "independent";
            let rows = figures.iter().filter(|f| format!("{f:?}").contains(RISE)).count();
            assert_eq!(rows, usize::from(whole), "{order}: only if all layers are random in the end");
            if name == "plain" && whole {
                near(cell(&figures, RISE, 1), theirs[order]["rise"].as_f64().unwrap(), 1e-5);
            }
        }
    }
}

#[test]
fn histogram_entropy_matches_quantus() {
    let theirs: Value = serde_json::from_str(include_str!("../fixtures/mprt.json")).unwrap();
    for (bins, expected) in theirs["entropies"].as_object().unwrap() {
        let body =
            format!("import \"lib/fidelity\" as f; f::histogram_entropy(tensor({:?}) ** 3, {bins})", uniform(7, 64));
        near(answer(&body).parse().unwrap(), expected.as_f64().unwrap(), 1e-6);
    }
    assert_eq!(answer("import \"lib/fidelity\" as f; f::histogram_entropy(ones([9]), 5)"), "0.0");
}

#[test]
fn averaging_maps_of_pictures_without_noise_changes_nothing() {
    let one = measured("randomization", None, &[]);
    let many = measured("randomization", None, &[("samples", "3"), ("noise", "0")]);
    for (a, b) in curve(&one, "signed").iter().zip(curve(&many, "signed")) {
        near(*a, b, 1e-6);
    }
}

#[test]
fn integrated_gradients_are_complete_and_so_is_lrp_without_biases() {
    let ig = measured("completeness", None, &[("method", "integrated_gradients"), ("settings", "steps=1000")]);
    let whole = cell(&ig, "f(x) - f(baseline)", 1).abs();
    assert!(whole > 0.01);
    near(cell(&ig, "sum - (f(x) - f(baseline))", 1), 0.0, 0.01 * whole);
    let lrp = of_linear("completeness", &[("method", "lrp"), ("settings", "composite=Epsilon epsilon=0")]);
    assert!(cell(&lrp, "f(x)", 1).abs() > 0.01);
    near(cell(&lrp, "sum - f(x)", 1), 0.0, 1e-4);
}

#[test]
fn a_maximum_hits_inside_the_box_and_within_the_tolerance() {
    let hit = |map: Tensor, tolerance: &str| {
        let figures = measured("pointing_game", Some(map), &[("box", "0.5,0,1,0.5"), ("tolerance", tolerance)]);
        let Body::Badge { good, .. } = figures[0].body else { panic!("{:?}", figures[0]) };
        (good, cell(&figures, "distance from the box, in pixels", 1), cell(&figures, "energy in the box", 1))
    };
    assert_eq!(hit(spots(&[8 + 6], 1.0), "0"), (true, 0.0, 1.0));
    assert_eq!(hit(spots(&[5 * 8 + 6], 1.0), "0"), (false, 2.0, 0.0));
    assert_eq!(hit(spots(&[5 * 8 + 6], 1.0), "2"), (true, 2.0, 0.0));
    assert_eq!(hit(spots(&[8 + 6, 7 * 8, 7 * 8 + 1, 7 * 8 + 2], 1.0), "0").2, 0.25);
    let host = host();
    let mut session = session(&host);
    session.open(host.method("pointing_game").expect("it compiles"));
    for wrong in ["", "1,2,3", "0.5,0,0.4,1", "a,b,c,d", "0,0,1,2"] {
        session.set("box", wrong).expect("any text");
        assert!(format!("{:#}", session.run(&host).expect_err("no box")).contains("is not a box"), "{wrong}");
    }
}

#[test]
fn a_method_without_a_map_is_an_error_that_suggests_choosing_another() {
    let host = host();
    let mut session = session(&host);
    session.open(host.method("sparseness").expect("it compiles"));
    session.set("method", "guided_grid").expect("an attribution");
    assert!(format!("{:#}", session.run(&host).expect_err("no map")).contains("choose another method"));
}

#[test]
fn masks_of_exported_attention_are_not_randomized() {
    let host = host();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/graphs/masked.pt2");
    let model = Architectures::new(host.models().clone(), host.guard()).open(path.to_str().unwrap(), None).unwrap();
    let masked = |t: &Tensor| !gradscope::tensor::numbers(t).unwrap().iter().all(|v| v.is_finite());
    assert!(model.graph.nodes.iter().flat_map(|node| &node.params).any(masked), "the network has a mask with −∞");
    let mut session = Session::new(&host, model, "picture", picture()).unwrap();
    for figure in ask(&mut session, &host, "randomization", None, &[]) {
        assert!(figure.values().is_none_or(|v| v.data.iter().all(|v| v.is_finite())), "{}", figure.title);
    }
}
