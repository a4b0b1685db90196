//! The Clever Hans experiment, run by its single command: a network learns a tag, heatmaps and clusters reveal it, and it is removed.

use std::process::Command;

/// The numbers in the line that starts with `begin`.
fn numbers(text: &str, begin: &str) -> Vec<f64> {
    let line = text.lines().find(|l| l.starts_with(begin)).unwrap_or_else(|| panic!("no line {begin}:\n{text}"));
    line[begin.len()..].split_whitespace().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn a_network_that_relies_on_a_tag_is_detected_and_a_clean_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
    command.current_dir(folder.path()).env("GRADSCOPE_CACHE", "").env("XDG_CONFIG_HOME", folder.path());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/clever_hans.rhai");
    let ran = command.args(["exec", script, "out"]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = String::from_utf8(ran.stdout).unwrap();

    let [on, off] = ["on every 4 ", "nowhere"].map(|begin| numbers(&text, begin));
    assert!(on[0] - off[0] > 40.0, "without the tag {} of {}% are left", off[0], on[0]);
    assert!((on[2] - off[2]).abs() < 2.0, "the clean network minds: {} and {}%", on[2], off[2]);

    let part = |after: &str, name: &str| numbers(text.split_once(after).unwrap().1, name);
    let (tagged, clean) = (part("where it looks", "tagged")[0], part("where it looks", "clean")[0]);
    assert!(tagged > 0.3 && clean < 0.1, "{tagged} and {clean} of the mean heatmap lie on the tag");

    let (tagged, clean) = (part("what SpRAy finds", "tagged")[1], part("what SpRAy finds", "clean")[1]);
    assert!(tagged > 0.8 && clean < 0.2, "the clusters agree with the tags by {tagged} and {clean}");
}
