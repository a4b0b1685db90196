//! `gradscope methods METHOD` describes a method.

use super::{assert_says, json, printed, wrong};
use tempfile::TempDir;

#[test]
fn a_page_tells_the_parameters_the_source_and_an_example() {
    let page = printed(&["methods", "fgsm"]);
    assert_says(
        &page,
        &[
            "fgsm  (attack)",
            "Iterated FGSM",
            "Goodfellow, Shlens & Szegedy 2015, arXiv:1412.6572",
            "in steps; --steps N",
            "at most 100",
            "built in",
            "epsilon       radius of the ball",
            "a number from 0 to 25500, in units of 1/255 [default: 8]",
            "one of linf, l2, l1, l0 [default: linf]",
            "a class by name or index, or none [default: none]",
            "gradscope run fgsm -i picture.png --set epsilon=16 --steps 10",
        ],
    );
    let both = printed(&["methods", "gradcam", "class_accuracy"]);
    assert_says(
        &both,
        &["gradcam  (attribution)", "at once", "the last one that outputs a feature map", "--data made:shapes"],
    );
}

#[test]
fn a_method_is_described_as_json() {
    let found = json(&["methods", "fgsm", "--json"]);
    let fgsm = &found[0];
    assert_eq!((&fgsm["name"], &fgsm["stepped"], found.as_array().unwrap().len()), (&"fgsm".into(), &true.into(), 1));
    assert!(fgsm["sources"][0].as_str().unwrap().contains("arXiv:1412.6572"));
    let norm = fgsm["parameters"].as_array().unwrap().iter().find(|p| p["name"] == "norm").unwrap();
    assert_eq!((&norm["choices"][1], &norm["default"]), (&"l2".into(), &"linf".into()));
}

#[test]
fn an_unknown_method_suggests_a_similar_one() {
    let folder = TempDir::new().unwrap();
    assert_says(&wrong(folder.path(), &["methods", "gradcamm"], 2), &["no method named \"gradcamm\"", "gradcam"]);
}
