//! Attention methods, class activation maps on tokens, ViT-CX and deep feature factorization against timm, pytorch-grad-cam, scikit-learn
//! and the papers' formulas.
//!
//! The expected values are in `tests/fixtures`: `attention.json`, `vit_cx.json` and `dff.json`, written by the scripts of the same names
//! in `scripts/reference`.

use super::attnlrp::network;
use super::zoo::numbers;
use crate::common::{finished, host};
use candle_core::DType;
use gradscope::render::{Body, Figure};
use gradscope::script::session::Session;
use serde_json::Value;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/attention.json")).unwrap()
}

/// The raw values of a figure of a method on a network of the fixture, in f32.
fn figure(label: &str, class: usize, method: &str, set: &[(&str, &str)], title: &str) -> Vec<f64> {
    figure_in(DType::F32, (label, class), method, set, title)
}

fn figure_in(dtype: DType, (label, class): (&str, usize), method: &str, set: &[(&str, &str)], title: &str) -> Vec<f64> {
    values(&figures(dtype, (label, class), method, set), title)
}

fn figures(dtype: DType, (label, class): (&str, usize), method: &str, set: &[(&str, &str)]) -> Vec<Figure> {
    let (model, x) = network(label, dtype);
    let host = host();
    let mut session = Session::new(&host, model, "picture", x).unwrap();
    session.set_target(Some(class)).unwrap();
    session.open(host.method(method).unwrap());
    set.iter().for_each(|(name, value)| session.set(name, value).unwrap());
    finished(&host, &mut session).unwrap_or_else(|e| panic!("{method} on {label}: {e:#}"))
}

/// The raw values of the figure with this title.
fn values(figures: &[Figure], title: &str) -> Vec<f64> {
    let found = figures.iter().find(|f| f.title == title).unwrap_or_else(|| panic!("no {title}"));
    found.values().unwrap().data.iter().map(|&v| f64::from(v)).collect()
}

/// Whether the values agree, relative to the largest of them.
pub(super) fn assert_near(what: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let greatest = theirs.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    println!("{what}: {:e}", apart / greatest);
    assert!(apart <= tolerance * greatest, "{what}: {apart:e} of {greatest}\n{ours:?}\n{theirs:?}");
}

/// Calls a function with the name of each network, its class and the expected results.
fn for_each_network(check: impl Fn(&str, usize, &Value)) {
    for (label, expected) in fixture()["networks"].as_object().unwrap() {
        check(label, expected["class"].as_u64().unwrap() as usize, expected);
    }
}

#[test]
fn attention_maps_are_those_that_timm_extracts() {
    let every = fixture()["every"].as_u64().unwrap() as usize;
    for_each_network(|label, class, expected| {
        for (i, theirs) in expected["attention"].as_array().unwrap().iter().enumerate() {
            let title = format!("attention.{i}");
            let ours: Vec<_> = figure(label, class, "attention", &[], &title).into_iter().step_by(every).collect();
            assert_near(&format!("{label} {title}"), &ours, &numbers(theirs), 1e-5);
        }
    });
}

#[test]
fn rollout_follows_its_formula() {
    for_each_network(|label, class, expected| {
        for (how, theirs) in expected["rollout"].as_object().unwrap() {
            let (heads, discard) = how.split_once(' ').unwrap();
            let ours = figure(label, class, "rollout", &[("heads", heads), ("discard", discard)], "rollout");
            assert_near(&format!("{label} rollout {how}"), &ours, &numbers(theirs), 1e-5);
        }
    });
}

#[test]
fn gradients_times_attention_follow_their_formulas() {
    for_each_network(|label, class, expected| {
        let ours = figure(label, class, "gradient_attention", &[], "gradient_attention");
        assert_near(&format!("{label} gradient_attention"), &ours, &numbers(&expected["gradient_attention"]), 1e-4);
        for (variant, theirs) in expected["chefer"].as_object().unwrap() {
            for dtype in [DType::F64, DType::F32] {
                let ours = figure_in(dtype, (label, class), "chefer", &[("variant", variant)], "chefer");
                // Relevance divides by small numbers, which amplifies rounding in f32.
                let tolerance = if variant == "cvpr" && dtype == DType::F32 { 1e-3 } else { 1e-4 };
                assert_near(&format!("{label} chefer {variant} in {dtype:?}"), &ours, &numbers(theirs), tolerance);
            }
        }
    });
}

#[test]
fn class_activation_maps_on_tokens_are_those_of_pytorch_grad_cam() {
    let layer = fixture()["layer"].as_str().unwrap().to_string();
    for_each_network(|label, class, expected| {
        for (name, theirs) in expected["cams"].as_object().unwrap() {
            let mut theirs = numbers(theirs);
            let (method, set) = match name.as_str() {
                variant @ ("gradcam" | "gradcam++" | "layercam" | "xgradcam") => {
                    ("gradcam", vec![("variant", variant)])
                }
                method => (method, vec![]),
            };
            let set = [&[("layer", layer.as_str())], &set[..]].concat();
            let ours = figure(label, class, method, &set, "cam_raw");
            // The sign of a principal component is arbitrary.
            let opposite = ours.iter().zip(&theirs).map(|(a, b)| a * b).sum::<f64>() < 0.0;
            if name == "eigencam" && opposite {
                theirs.iter_mut().for_each(|v| *v = -*v);
            }
            assert_near(&format!("{label} {name}"), &ours, &theirs, 1e-4);
        }
    });
}

#[test]
fn the_grid_and_the_tokens_before_it_can_be_overridden() {
    let label = "timm dinov2 with registers";
    let cam = |set: &[(&str, &str)]| figure(label, 0, "hirescam", set, "cam_raw");
    let usual = cam(&[]);
    assert_eq!(usual, cam(&[("grid", "4x4"), ("prefix", "5")]));
    assert_eq!(usual, cam(&[("grid", "4x4")]));
    assert_eq!(cam(&[("grid", "2x8")]), usual);
    let shifted = cam(&[("grid", "4x4"), ("prefix", "4")]);
    assert_eq!(shifted[1..], usual[..15]);
}

#[test]
fn vit_cx_is_its_formula_over_the_clusters_of_scikit_learn() {
    let file: Value = serde_json::from_str(include_str!("../fixtures/vit_cx.json")).unwrap();
    let (layer, every) = (file["layer"].as_str().unwrap(), file["every"].as_u64().unwrap() as usize);
    for (label, expected) in file["networks"].as_object().unwrap() {
        let class = expected["class"].as_u64().unwrap() as usize;
        for case in expected["cases"].as_array().unwrap() {
            let (distance, noise) = (case["distance"].to_string(), case["noise"].to_string());
            let set = [("layer", layer), ("distance", &*distance), ("noise", &*noise)];
            let what = format!("{label} vit_cx, distance {distance}, noise {noise}");
            let figures = figures(DType::F32, (label, class), "vit_cx", &set);
            let places = values(&figures, "masks").len() / case["masks"].as_u64().unwrap() as usize;
            assert_eq!(places, 16, "{what}: another number of masks");
            let ours: Vec<_> = values(&figures, "heatmap").into_iter().step_by(every).collect();
            assert_near(&what, &ours, &numbers(&case["map"]), 1e-4);
        }
    }
}

#[test]
fn deep_feature_factorization_is_that_of_scikit_learn_and_as_good_as_that_of_pytorch_grad_cam() {
    let file: Value = serde_json::from_str(include_str!("../fixtures/dff.json")).unwrap();
    let (layer, updates) = (file["layer"].as_str().unwrap(), file["updates"].to_string());
    for (label, cases) in file["networks"].as_object().unwrap() {
        for case in cases.as_array().unwrap() {
            let concepts = case["concepts"].to_string();
            let set = [("layer", layer), ("updates", &*updates), ("concepts", &*concepts)];
            let what = format!("{label} dff, {concepts} concepts");
            let figures = figures(DType::F32, (label, 0), "dff", &set);
            let ours = values(&figures, "dff");
            assert_near(&what, &ours, &numbers(&case["maps"]), 1e-4);
            let share = explained(&figures);
            assert!((share - case["share"].as_f64().unwrap()).abs() < 1e-3, "{what}: {share}");
            assert!(share > case["peer"].as_f64().unwrap() - 0.01, "{what}: {share}");
            // Both reach the same optimum, from different random values.
            if case["peer_maps"].is_array() {
                for (ours, theirs) in ours.chunks(16).zip(numbers(&case["peer_maps"]).chunks(16)) {
                    assert!(correlation(ours, theirs) > 0.999, "{what}: {ours:?}, {theirs:?}");
                }
            }
        }
    }
}

/// The share of the sum of squares that the figures of `dff` state.
fn explained(figures: &[Figure]) -> f64 {
    let text = figures.iter().find_map(|f| match &f.body {
        Body::Text { text } => Some(text.as_str()),
        _ => None,
    });
    let percent = text.unwrap().split_whitespace().find_map(|word| word.strip_suffix('%')).unwrap();
    percent.parse::<f64>().unwrap() / 100.0
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let centered = |x: &[f64]| x.iter().map(|v| v - x.iter().sum::<f64>() / x.len() as f64).collect::<Vec<_>>();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (a, b) = (centered(a), centered(b));
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}
