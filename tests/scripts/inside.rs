//! DeepLIFT, excitation backprop and FullGrad satisfy their conservation properties and agree with other implementations; the
//! figures of `network`, `filters` and `grid` show the right values.

use crate::common::{answer, finished, host, picture, session, tiny, uniform};
use candle_core::{Device, Tensor};
use gradscope::backend::{Conv2d, Pool2d, Window};
use gradscope::graph::{Builder, op};
use gradscope::model::Model;
use gradscope::render::{Body, Figure};
use gradscope::script::session::Session;
use serde_json::Value;

/// Figures of a shipped method on the tiny network, for class 1.
fn figures(name: &str, settings: &[(&str, &str)]) -> Vec<Figure> {
    run(session(&host()), name, settings).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The same in any session.
fn run(mut session: Session, name: &str, settings: &[(&str, &str)]) -> anyhow::Result<Vec<Figure>> {
    let host = host();
    session.set_target(Some(1)).unwrap();
    session.open(host.method(name).unwrap());
    for (parameter, value) in settings {
        session.set(parameter, value).unwrap();
    }
    finished(&host, &mut session)
}

fn conv(input: usize, output: usize, side: usize) -> op::Conv {
    let slide = Conv2d { padding: (side / 2, side / 2), ..Conv2d::default() };
    op::Conv { input, output, kernel: (side, side), slide, bias: true }
}

/// A session with the tiny network's card, another graph and random weights.
fn session_of(build: fn(&mut Builder) -> usize) -> Session {
    let mut b = Builder::new(&[3, 8, 8]);
    let end = build(&mut b);
    let graph = b.finish(end).unwrap();
    let weights = graph.parameters().into_iter().enumerate().map(|(i, p)| {
        let values = uniform(i as u64 + 40, p.shape.iter().product());
        (p.name, Tensor::from_vec(values, p.shape, &Device::Cpu).unwrap())
    });
    let graph = graph.with_weights(weights.collect()).unwrap();
    Session::new(&host(), Model { graph: graph.into(), ..tiny() }, "picture", picture()).unwrap()
}

fn named<'a>(figures: &'a [Figure], title: &str) -> &'a Figure {
    figures.iter().find(|f| f.title == title).unwrap_or_else(|| panic!("no figure \"{title}\""))
}

fn values(figures: &[Figure], title: &str) -> Vec<f64> {
    named(figures, title).values().unwrap().data.iter().map(|&v| f64::from(v)).collect()
}

/// The number in a table row.
fn cell(figures: &[Figure], table: &str, row: &str) -> f64 {
    let Body::Table { rows, .. } = &named(figures, table).body else { panic!("{table} is no table") };
    rows.iter().find(|r| r[0].starts_with(row)).unwrap()[1].parse().unwrap()
}

fn reference() -> Value {
    serde_json::from_str(include_str!("../fixtures/inside.json")).unwrap()
}

fn assert_near(what: &str, ours: &[f64], theirs: &Value) {
    let theirs: Vec<f64> = theirs.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let apart: f64 = ours.iter().zip(&theirs).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let size: f64 = theirs.iter().map(|b| b * b).sum::<f64>().sqrt();
    assert!(apart < 2e-5 * size, "{what} is {} of its size off", apart / size);
}

#[test]
fn deeplift_gives_the_attributions_of_captum_and_is_complete() {
    for baseline in ["mean", "black", "white"] {
        let figures = figures("deeplift", &[("baseline", baseline)]);
        assert_near(baseline, &values(&figures, "attribution"), &reference()["deeplift"][baseline]);
        assert!(cell(&figures, "completeness", "gap").abs() < 1e-4, "{baseline}");
    }
}

#[test]
fn deeplift_is_complete_through_products_smooth_activations_and_overlapping_pools() {
    let session = session_of(|b| {
        let x = b.add("conv1", conv(3, 4, 3), &[0]).unwrap();
        let leaky = b.add("leaky", op::LeakyRelu { slope: 0.1 }, &[x]).unwrap();
        let gate = b.add("gate", op::Sigmoid, &[x]).unwrap();
        let both = b.add("mul", op::Mul, &[leaky, gate]).unwrap();
        let window = Window::new(3, 2, 1, 1);
        let x =
            b.add("pool", op::MaxPool { pool: Pool2d { h: window, w: window, ceil_mode: false } }, &[both]).unwrap();
        let x = b.add("tanh", op::Tanh, &[x]).unwrap();
        let x = b.add("flatten", op::Flatten, &[x]).unwrap();
        b.add("fc", op::Linear { input: 64, output: 5, bias: true }, &[x]).unwrap()
    });
    let figures = run(session, "deeplift", &[("baseline", "black")]).unwrap();
    let (gap, whole) = (cell(&figures, "completeness", "gap"), cell(&figures, "completeness", "logit"));
    assert!(gap.abs() < 1e-4 && whole.abs() > 0.1, "{gap} of {whole}");
}

#[test]
fn a_contrast_that_cancels_everywhere_is_reported() {
    let build = |b: &mut Builder| {
        let x = b.add("conv1", conv(3, 32, 3), &[0]).unwrap();
        let x = b.add("relu1", op::Relu, &[x]).unwrap();
        let x = b.add("head", conv(32, 5, 1), &[x]).unwrap();
        b.add("pool", op::GlobalAvgPool, &[x]).unwrap()
    };
    let settings = [("layer", "relu1"), ("contrastive", "true")];
    let told = run(session_of(build), "excitation_backprop", &settings).err().unwrap().to_string();
    assert!(told.contains("cancel at every position") && told.contains("earlier layer"), "{told}");
    run(session_of(build), "excitation_backprop", &[("layer", "input"), ("contrastive", "true")]).unwrap();
}

#[test]
fn excitation_backprop_gives_the_probabilities_of_the_paper() {
    for (contrastive, key) in [("false", "excitation_backprop"), ("true", "contrastive")] {
        let figures = figures("excitation_backprop", &[("layer", "pool1"), ("contrastive", contrastive)]);
        assert_near(key, &values(&figures, "probability"), &reference()[key]);
    }
    let whole: f64 = values(&figures("excitation_backprop", &[("layer", "input")]), "probability").iter().sum();
    assert!((whole - 1.0).abs() < 1e-4, "{whole}");
}

#[test]
fn fullgrad_gives_the_map_of_autograd_and_is_complete() {
    let figures = figures("fullgrad", &[]);
    assert_near("fullgrad", &values(&figures, "fullgrad"), &reference()["fullgrad"]);
    assert!(cell(&figures, "completeness", "gap").abs() < 1e-4);
    assert!((cell(&figures, "completeness", "logit") - reference()["logits"][1].as_f64().unwrap()).abs() < 1e-4);
}

#[test]
fn expected_gradients_come_closer_to_completeness_with_more_samples() {
    let gap = |samples: &str| {
        let figures = figures("expected_gradients", &[("samples", samples)]);
        (cell(&figures, "completeness", "gap") / cell(&figures, "completeness", "logit")).abs()
    };
    assert!(gap("2000") < 0.05, "{}", gap("2000"));
}

#[test]
fn the_network_panel_shows_the_values_of_one_layer_or_of_all() {
    let one = figures("network", &[("layer", "conv1")]);
    let titles: Vec<_> = one.iter().map(|f| f.title.as_str()).collect();
    let wanted = ["conv1", "conv1.gradient", "conv1.weight", "conv1.weight.gradient", "layers"];
    assert_eq!(titles, wanted);
    assert_eq!(named(&one, "conv1.weight.gradient").values().unwrap().shape, [4, 3, 3, 3]);
    let Body::Table { rows, .. } = &named(&one, "layers").body else { panic!("no table") };
    assert_eq!(
        (&*rows[0][0], &*rows[0][1], &*rows[0][5], &*rows[0][6]),
        ("conv1", "4x8x8", "4x3x3x3+4 = 112", "conv 3x3")
    );
    let all = figures("network", &[("show", "all"), ("most", "200")]);
    let filters = named(&all, "conv2.weight");
    assert_eq!(filters.values().unwrap().shape, [24, 3, 3], "six outputs with four input channels each");
    assert_eq!(filters.part().as_deref(), Some("16 of 24"));
    assert_eq!(named(&all, "fc.weight").values().unwrap().shape, [5, 96]);
    let Body::Table { rows, .. } = &named(&all, "layers").body else { panic!("no table") };
    assert_eq!(rows.len(), 9);
}

#[test]
fn the_network_panel_shows_the_gradient_of_the_loss_as_well_as_the_logits() {
    for of in ["logit", "cross_entropy"] {
        let shown = figures("network", &[("layer", "conv2"), ("of", of)]);
        let seed = if of == "logit" { "logit(1)" } else { "cross_entropy(1)" };
        let g = format!("let g = backward(cx.model.forward(cx.input), {seed}, #{{ params: true }});");
        for (title, by_hand) in
            [("conv2.gradient", "g[\"conv2\"]"), ("conv2.weight.gradient", "g.params[\"conv2.weight\"]")]
        {
            let by_hand: f64 = answer(&format!("{g} {by_hand}.abs().sum()")).parse().unwrap();
            let sum: f64 = values(&shown, title).iter().map(|v| v.abs()).sum();
            assert!((sum - by_hand).abs() < 1e-4 * by_hand, "{of} {title}: {sum}, not {by_hand}");
        }
    }
}

#[test]
fn a_grid_shows_the_requested_layers_and_channels() {
    let rows = |settings: &[(&str, &str)]| {
        let shown = figures("guided_grid", settings);
        let Body::Table { rows, .. } = &named(&shown, "tiles").body else { panic!("no table") };
        let Body::Montage { captions, each, tiles, .. } = &named(&shown, "grid").body else { panic!("no montage") };
        assert_eq!(tiles.shape[0], rows.len());
        assert_eq!(*captions, rows.iter().map(|r| format!("{} · {}", r[1], r[2])).collect::<Vec<_>>());
        (rows.iter().map(|r| format!("{} {}", r[1], r[2])).collect::<Vec<_>>(), *each)
    };
    let one_layer = [("layer", "conv2"), ("channels", "0, 2..3 5")];
    assert_eq!(rows(&one_layer), (vec!["conv2 0".into(), "conv2 2".into(), "conv2 3".into(), "conv2 5".into()], true));
    let one_channel = [("layers", "0..1"), ("channels", "3"), ("scale", "shared")];
    assert_eq!(rows(&one_channel), (vec!["relu1 3".into(), "relu2 3".into()], false));
    assert_eq!(rows(&[("layers", "conv1 relu2..-1"), ("channels", "1")]).0, ["conv1 1", "relu2 1", "fc 1"]);
    assert_eq!(rows(&[("layers", "relu1,relu2"), ("channels", "5")]).0, ["relu2 5"], "relu1 has four channels");
    let error = |settings: &[(&str, &str)]| run(session(&host()), "guided_grid", settings).unwrap_err().to_string();
    assert!(error(&[("layers", "relu1"), ("channels", "9")]).contains("has a channel 9"));
    assert!(error(&[("layers", "relu9")]).contains("no layer \"relu9\""));
    assert!(error(&[("layers", "2..0")]).contains("is reversed"));
    assert!(error(&[("channels", "x")]).contains("not an integer"));
}

#[test]
fn channels_and_grids_start_from_the_selected_channel() {
    let figures = figures("channels", &[("layer", "conv2"), ("channel", "3"), ("rule", "gradient")]);
    let Body::Montage { marked, tiles, .. } = &named(&figures, "channels").body else { panic!("no montage") };
    assert_eq!((*marked, &tiles.shape[..]), (Some(3), &[6, 4, 4][..]));
    let sum: f64 = values(&figures, "gradient").iter().sum();
    let by_hand =
        answer("let t = cx.model.forward(cx.input); backward(t, |a| a[\"conv2\"].select(1, 3).sum()).input.sum()");
    assert!((sum - by_hand.parse::<f64>().unwrap()).abs() < 1e-4);
    let grid = self::figures("guided_grid", &[("over", "layers"), ("tiles", "3")]);
    let Body::Table { rows, .. } = &named(&grid, "tiles").body else { panic!("no table") };
    assert_eq!(rows.iter().map(|r| r[1].as_str()).collect::<Vec<_>>(), ["relu1", "relu2", "fc"]);
    assert_eq!(named(&grid, "grid").values().unwrap().shape, [3, 3, 8, 8]);
}
