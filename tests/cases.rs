//! The cases of gradients, Grad-CAM and pooling that the test suites of the field agree on, in f64.
//!
//! They are found in the folder that GRADSCOPE_SHARED names; without it this test does nothing.
#![allow(clippy::unwrap_used)]

use gradscope::model::selftest::check;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Methods whose cases are computed here, and how many of them there are.
const HERE: &[(&str, usize)] = &[
    ("deconvnet", 2),
    ("gradient", 3),
    ("grad_cam", 5),
    ("grad_cam_from_arrays", 1),
    ("guided_backprop", 3),
    ("guided_grad_cam", 2),
    ("max_pool", 1),
];

/// Methods whose cases are not.
const ELSEWHERE: &[(&str, usize)] = &[
    ("clip_small_contribution", 1),
    ("clip_small_norm", 1),
    ("curve_auc", 1),
    ("deepfool", 1),
    ("distances", 1),
    ("gaussian_blur", 1),
    ("integrated_gradients", 6),
    ("lrp", 21),
    ("mi_fgsm", 1),
    ("min_l2_attack", 1),
    ("occlusion", 5),
    ("pgd", 11),
    ("project", 1),
    ("quantise", 1),
    ("smoothgrad", 1),
    ("steepest_step", 3),
    ("style_losses", 1),
    ("tsne_joint_p", 1),
    ("tsne_kl_grad", 1),
];

fn cases() -> Option<Vec<Value>> {
    let shared = std::env::var_os("GRADSCOPE_SHARED")?;
    let path = std::path::Path::new(&shared).join("reference/cases.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file: Value = serde_json::from_str(&text).unwrap();
    Some(file["cases"].as_array().unwrap().clone())
}

/// The method of a case. One that asks for LRP has no layers but pools.
fn method(case: &Value) -> &str {
    if case["id"] == "lrp-09-maxpool" { "max_pool" } else { case["method"].as_str().unwrap() }
}

fn is_here(case: &Value) -> bool {
    HERE.iter().any(|(here, _)| *here == method(case))
}

/// The same case for `check`: winner-take-all of a pooling network is its gradient from the output itself.
fn as_gradient(mut case: Value) -> Value {
    if method(&case) == "max_pool" {
        case["method"] = "gradient".into();
        case["params"] = json!({ "seed": "output" });
    }
    case
}

#[test]
fn the_fields_cases_of_gradients_grad_cam_and_pooling_agree() {
    for case in cases().unwrap_or_default().into_iter().filter(is_here) {
        let outcome = check(&as_gradient(case)).unwrap_or_else(|e| panic!("{e:#}"));
        assert!(outcome.passed, "{outcome:?}");
    }
}

#[test]
fn every_case_of_the_field_is_counted() {
    let Some(cases) = cases() else { return };
    let mut counts = BTreeMap::new();
    cases.iter().for_each(|case| *counts.entry(method(case)).or_insert(0) += 1);
    assert_eq!(counts, HERE.iter().chain(ELSEWHERE).copied().collect());
}

#[test]
fn a_case_with_another_number_does_not_agree() {
    for case in cases().unwrap_or_default().into_iter().filter(is_here) {
        let mut case = as_gradient(case);
        let step = 2.0 * case["tolerance"]["abs"].as_f64().unwrap();
        let key = if case["expected"].get("map").is_some() { "map" } else { "x" };
        let mut number = &mut case["expected"][key];
        while number.is_array() {
            number = &mut number[0];
        }
        *number = Value::from(number.as_f64().unwrap() + step);
        assert!(!check(&case).unwrap().passed, "{}", case["id"]);
    }
}
