//! Attention methods and class activation maps on tokens against timm, pytorch-grad-cam and the papers' formulas.
//!
//! The expected values are in `tests/fixtures/attention.json`, written by `scripts/reference/attention.py`.

use super::attnlrp::network;
use super::zoo::numbers;
use crate::common::{finished, host};
use candle_core::DType;
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
    let (model, x) = network(label, dtype);
    let host = host();
    let mut session = Session::new(&host, model, "picture", x).unwrap();
    session.set_target(Some(class)).unwrap();
    session.open(host.method(method).unwrap());
    set.iter().for_each(|(name, value)| session.set(name, value).unwrap());
    let figures = finished(&host, &mut session).unwrap_or_else(|e| panic!("{method} on {label}: {e:#}"));
    let found = figures.iter().find(|f| f.title == title).unwrap_or_else(|| panic!("{method}: no {title}"));
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
