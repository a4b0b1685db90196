//! `gradscope rerun` repeats a result and says whether the numbers are the same.

use super::{assert_says, gradscope, text, wrong};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;

/// Runs a command that must succeed.
fn ran(folder: &Path, args: &[&str]) -> Output {
    let out = gradscope(folder, args);
    assert!(out.status.success(), "{args:?}: {}{}", text(&out.stderr), text(&out.stdout));
    out
}

#[test]
fn an_attack_with_a_seed_is_repeated_with_the_same_numbers() {
    let folder = TempDir::new().unwrap();
    let args = ["run", "fgsm", "--set", "random_start=true", "--seed", "5", "--out", "o"];
    ran(folder.path(), &args);
    let out = ran(folder.path(), &["rerun", "o"]);
    assert_says(
        &text(&out.stdout),
        &["fgsm of shapes on made:welcome[0]", "perturbation", "steps", "all numbers are the same"],
    );
    assert!(
        !text(&out.stdout).contains("different") && !text(&out.stderr).contains("warning"),
        "{}",
        text(&out.stderr)
    );
    // From another folder, and without the arrays.
    let elsewhere = TempDir::new().unwrap();
    fs::remove_file(folder.path().join("o/perturbation.npy")).unwrap();
    let file = folder.path().join("o/result.json");
    ran(elsewhere.path(), &["rerun", file.to_str().unwrap(), "--out", "again"]);
    assert!(elsewhere.path().join("again/perturbation.npy").is_file());
}

#[test]
fn other_numbers_give_exit_code_1_and_their_greatest_difference() {
    let folder = TempDir::new().unwrap();
    ran(folder.path(), &["run", "gradcam", "--out", "o"]);
    let out = gradscope(folder.path(), &["rerun", "o", "--precision", "bf16", "--json"]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    assert_says(&text(&out.stderr), &["warning: the precisions differ: f32 then, bf16 now"]);
    let found: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(found["same"], false);
    let cam = found["compared"].as_array().unwrap().iter().find(|row| row["name"] == "cam").unwrap();
    let apart = cam["greatest_difference"].as_f64().unwrap();
    assert!(apart > 0.0 && apart < 10.0, "{cam}");
    // A changed array of the first result.
    let mut array = gradscope::data::read_npy(&folder.path().join("o/cam.npy")).unwrap();
    array.values[0] += 0.5;
    gradscope::data::write_npy(&folder.path().join("o/cam.npy"), &array.shape, &array.values).unwrap();
    let file = folder.path().join("o/result.json");
    let changed = fs::read_to_string(&file).unwrap();
    let mut result: Value = serde_json::from_str(&changed).unwrap();
    result["figures"][0]["sha256"] = "0".repeat(64).into();
    result["weights"]["sha256"] = "1".repeat(64).into();
    fs::write(&file, result.to_string()).unwrap();
    let out = gradscope(folder.path(), &["rerun", "o"]);
    assert_eq!(out.status.code(), Some(1));
    assert_says(&text(&out.stdout), &["different", "0.5", "the numbers differ"]);
    assert_says(&text(&out.stderr), &["warning: the weights differ: 111111111111… then, "]);
}

#[test]
fn a_changed_script_is_named_and_its_result_compared() {
    let folder = TempDir::new().unwrap();
    let script = |value: &str| {
        let text =
            format!("const PLUGIN = #{{ params: [] }};\nfn run(cx) {{ [table([\"a\"], [[{value}]], \"t\")] }}\n");
        fs::write(folder.path().join("mine.rhai"), text).unwrap();
    };
    script("1.5");
    fs::write(folder.path().join("r.json"), ran(folder.path(), &["run", "mine.rhai", "--json"]).stdout).unwrap();
    ran(folder.path(), &["rerun", "r.json"]);
    script("1.75");
    let out = gradscope(folder.path(), &["rerun", "r.json"]);
    assert_eq!(out.status.code(), Some(1));
    assert_says(&text(&out.stdout), &["0.25"]);
    assert_says(&text(&out.stderr), &["warning: the scripts of the method differ"]);
}

#[test]
fn each_of_several_pictures_is_repeated_by_itself() {
    let folder = TempDir::new().unwrap();
    let args = ["run", "saliency", "-i", "made:shapes[0]", "-i", "made:shapes[1]"];
    ran(folder.path(), &[&args[..], &["--out", "o"]].concat());
    let folders: Vec<_> = super::files(&folder.path().join("o"));
    let out = ran(folder.path(), &["rerun", &folders[1]]);
    assert_says(&text(&out.stdout), &["made:shapes[1]", "all numbers are the same"]);
    let both = ran(folder.path(), &[&args[..], &["--json"]].concat()).stdout;
    fs::write(folder.path().join("both.json"), both).unwrap();
    let out = ran(folder.path(), &["rerun", "both.json"]);
    assert_says(&text(&out.stdout), &["made:shapes[0]", "made:shapes[1]"]);
}

#[test]
fn what_cannot_be_repeated_is_a_usage_error_that_says_why() {
    let folder = TempDir::new().unwrap();
    for (file, why) in [
        ("{}", "it is not a result.json"),
        (r#"{"schema": 99}"#, "version 99 of the schema"),
        (r#"{"schema": 1, "command": null}"#, "changed between steps"),
        (r#"{"schema": 1, "command": ["gradscope", "methods"]}"#, "not gradscope run"),
        (r#"{"schema": 1, "command": ["gradscope", "run", "--nonsense"]}"#, "--nonsense"),
    ] {
        fs::write(folder.path().join("r.json"), file).unwrap();
        assert_says(&wrong(folder.path(), &["rerun", "r.json"], 2), &["r.json", why]);
    }
    fs::write(folder.path().join("r.json"), "not JSON").unwrap();
    assert_says(&wrong(folder.path(), &["rerun", "r.json"], 1), &["not JSON"]);
    assert_says(&wrong(folder.path(), &["rerun", "absent.json"], 1), &["absent.json"]);
}
