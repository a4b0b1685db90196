//! The cases of attributions and attacks on which the test suites of other libraries agree, in f64 and f32.
//!
//! They come from the folder `GRADSCOPE_SHARED`; without it their tests are skipped.

use crate::common::shared::shared_file;
use gradscope::selftest::Selftest;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Supported methods, and the number of cases of each.
const HERE: &[(&str, usize)] = &[
    ("clip_small_contribution", 1),
    ("clip_small_norm", 1),
    ("curve_auc", 1),
    ("deconvnet", 2),
    ("deepfool", 1),
    ("distances", 1),
    ("gaussian_blur", 1),
    ("grad_cam", 5),
    ("grad_cam_from_arrays", 1),
    ("gradient", 3),
    ("guided_backprop", 3),
    ("guided_grad_cam", 2),
    ("integrated_gradients", 6),
    ("lrp", 22),
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
    let text = std::fs::read_to_string(shared_file("reference/cases.json")?).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    Some(file["cases"].as_array().unwrap().clone())
}

fn method(case: &Value) -> &str {
    case["method"].as_str().unwrap()
}

fn here() -> impl Iterator<Item = Value> {
    let is_here = |case: &Value| HERE.iter().any(|(here, _)| *here == method(case));
    cases().unwrap_or_default().into_iter().filter(is_here)
}

#[test]
fn the_shared_cases_agree_in_both_dtypes() {
    let selftest = Selftest::default();
    let wrong: Vec<_> = here().map(|case| selftest.check(&case)).filter(|o| !o.passed).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_shared_case_is_counted() {
    let Some(cases) = cases() else { return };
    let mut counts = BTreeMap::new();
    cases.iter().for_each(|case| *counts.entry(method(case)).or_insert(0) += 1);
    assert_eq!(counts, HERE.iter().copied().collect());
}

#[test]
fn a_case_of_an_unknown_method_fails() {
    for mut case in here().take(1) {
        case["method"] = "dreaming".into();
        let outcome = Selftest::default().check(&case);
        assert!(!outcome.passed && outcome.why.unwrap().contains("unknown method \"dreaming\""), "{}", case["id"]);
    }
}

/// The first number that a case expects.
fn first_number(case: &mut Value) -> &mut Value {
    let expected = case["expected"].as_object_mut().unwrap();
    let mut number = expected.values_mut().next().unwrap();
    while number.is_array() {
        number = &mut number[0];
    }
    number
}

#[test]
fn a_case_with_a_changed_value_fails() {
    let selftest = Selftest::default();
    for mut case in here() {
        // For a lower bound use a large step: half the bound would still pass.
        let bound = case["expected"].get("l2_at_least").is_some();
        let step = if bound { 1.0 } else { (2.0 * case["tolerance"]["abs"].as_f64().unwrap()).max(1e-3) };
        let number = first_number(&mut case);
        // The network's output is referred to by name instead of its value.
        *number = number.as_f64().map_or(json!(1.0), |v| json!(v + step));
        assert!(!selftest.check(&case).passed, "{}", case["id"]);
    }
}

/// Cases of this repository: layers without a map, seeds, rules and ties, which the shared ones do not cover.
fn own() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../fixtures/cases.json")).unwrap();
    file["cases"].as_array().unwrap().clone()
}

#[test]
fn captum_zennit_and_formulas_agree_on_the_additional_cases() {
    let (selftest, cases) = (Selftest::default(), own());
    assert!(cases.len() > 50);
    let wrong: Vec<_> = cases.iter().map(|case| selftest.check(case)).filter(|o| !o.passed).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_unused_word_fails_its_case() {
    let selftest = Selftest::default();
    let mut seen = std::collections::BTreeSet::new();
    for mut case in own().into_iter().filter(|case| seen.insert(method(case).to_string())) {
        case["params"]["stabliser"] = json!(0.1);
        let outcome = selftest.check(&case);
        assert!(!outcome.passed && outcome.why.unwrap().contains("\"stabliser\""), "{}", case["id"]);
    }
}

#[test]
fn a_case_without_a_target_class_is_an_error() {
    let mut case = own().into_iter().find(|case| case["id"] == "gradient of a weighed sum").unwrap();
    case["params"] = json!({});
    let outcome = Selftest::default().check(&case);
    assert!(
        !outcome.passed
            && outcome
                .why
                .unwrap()
                .contains("the case needs a \"target\": the index of one of the network's 4 outputs")
    );
}
