//! `gradscope test` and `gradscope bisect`: tests of what a network looks at.

use super::{gradscope, text};
use std::fs;
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;

/// The tag of `made:tagged` must not be why a 4 is recognized.
const HANS: &str = r#"
for i in [4, 14, 24] {
    test(`the tag of picture ${i} is not why it is a 4`, #{
        input: `made:tagged#all[${i}]`, target: 4, method: "integrated_gradients",
        expect: #{ share: #{ inside: [23, 23, 27, 27], at_most: 0.1 }, class: 4 },
    });
}
"#;

fn run(folder: &Path, script: &str, args: &[&str]) -> Output {
    fs::write(folder.join("t.rhai"), script).unwrap();
    gradscope(folder, &[&["test", "t.rhai"], args].concat())
}

#[test]
fn a_new_file_of_tests_passes_on_the_built_in_network_after_its_golden_map_is_written() {
    let folder = TempDir::new().unwrap();
    assert!(gradscope(folder.path(), &["new", "test", "looks"]).status.success());
    let first = gradscope(folder.path(), &["test", "looks.rhai"]);
    assert_eq!(first.status.code(), Some(1), "{first:?}");
    assert!(text(&first.stdout).contains("there is no golden map"), "{first:?}");
    let update = gradscope(folder.path(), &["test", "looks.rhai", "--update", "--only", "LRP"]);
    assert!(text(&update.stdout).contains("1 passed, 0 failed"), "{update:?}");
    let again = gradscope(folder.path(), &["test", "looks.rhai"]);
    assert!(again.status.success() && text(&again.stdout).contains(" passed, 0 failed"), "{again:?}");
    let exists = gradscope(folder.path(), &["new", "test", "looks"]);
    assert_eq!(exists.status.code(), Some(2), "{exists:?}");
}

#[test]
fn failed_expectations_say_what_was_measured_and_leave_pictures_and_a_report() {
    let folder = TempDir::new().unwrap();
    let script = r#"
let star = #{ input: "made:welcome[0]", target: "star", method: "gradcam" };
test("on the star", star + #{ expect: #{ share: #{ inside: [60, 34, 128, 112], at_least: 0.5 }, maximum: #{ inside: [60, 34, 128, 112] } } });
test("on the heart", star + #{ expect: #{ share: #{ inside: [0, 30, 60, 100], at_least: 0.5 }, maximum: #{ outside: [60, 34, 128, 112] } } });
test("attacked", #{ input: "made:welcome[0]", method: "fgsm", set: #{ epsilon: 80 }, expect: #{ fooled: false, class: "heart" } });
test("robust", #{ expect: #{ robust_accuracy: #{ on: "made:shapes", attack: "fgsm", set: "epsilon=0.01", count: 8, at_least: 0.5, at_most: 1.0 } } });
test("wrong", star + #{ expect: #{ share: #{ inside: [0, 0, 999, 10], at_least: 0.5 } } });
test("unknown", star + #{ expect: #{ shares: 1 } });
"#;
    let out = run(folder.path(), script, &["--junit", "r.xml"]);
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out.stdout);
    for part in [
        "ok    on the star: the share inside [60, 34, 128, 112] is 0.8",
        "FAIL  on the heart (line 4)",
        ", expected at least 0.5",
        "the maximum is inside [60, 34, 128, 112], expected outside [60, 34, 128, 112]",
        "the network is fooled, expected not fooled",
        "ok    robust: the accuracy on 8 pictures of made:shapes under fgsm epsilon=0.01 is ",
        "the box [0, 0, 999, 10] is empty or not within the input of 128 x 128 pixels",
        "did you mean \"share\"?",
        "2 passed, 4 failed",
    ] {
        assert!(said.contains(part), "{part} in\n{said}\n{}", text(&out.stderr));
    }
    assert!(folder.path().join("gradscope-test/on_the_heart/01-cam.png").is_file());
    let xml = fs::read_to_string(folder.path().join("r.xml")).unwrap();
    assert!(xml.contains("tests=\"6\" failures=\"2\" errors=\"2\""), "{xml}");
    let json = run(folder.path(), script, &["--only", "star", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["passed"], &json["tests"][0]["line"]), (&1.into(), &3.into()));
}

#[test]
fn a_golden_map_is_compared_by_cosine_and_ssim() {
    let folder = TempDir::new().unwrap();
    let script = |layer: &str, bound: &str| {
        format!(
            "test(\"map\", #{{ input: \"made:welcome[0]\", target: \"star\", method: \"gradcam\", set: #{{ layer: \"{layer}\" }},
                expect: #{{ golden: #{{ file: \"g/map.npy\", {bound} }} }} }});"
        )
    };
    assert!(run(folder.path(), &script("relu4", "ssim: 0.95"), &["--update"]).status.success());
    assert!(run(folder.path(), &script("relu4", "ssim: 0.95, cosine: 0.999"), &[]).status.success());
    for bound in ["ssim: 0.95", "cosine: 0.999"] {
        let other = run(folder.path(), &script("relu3", bound), &[]);
        assert_eq!(other.status.code(), Some(1), "{other:?}");
        assert!(text(&other.stdout).contains("with g/map.npy is 0."), "{other:?}");
    }
}

#[test]
fn files_without_tests_and_broken_ones_are_errors() {
    let folder = TempDir::new().unwrap();
    let empty = run(folder.path(), "let x = 1;", &[]);
    assert!(empty.status.code() == Some(1) && text(&empty.stderr).contains("no test was run"), "{empty:?}");
    let broken = run(folder.path(), "test(\"x\", #{ expect: ", &[]);
    assert!(broken.status.code() == Some(1) && text(&broken.stderr).contains("t:1:"), "{broken:?}");
    let absent = gradscope(folder.path(), &["test", "absent.rhai"]);
    assert!(absent.status.code() == Some(2) && text(&absent.stderr).contains("absent.rhai"), "{absent:?}");
    let none = gradscope(folder.path(), &["bisect", ".", "--test", "t.rhai"]);
    assert!(none.status.code() == Some(2) && text(&none.stderr).contains("at least 2 are needed"), "{none:?}");
}

#[test]
fn bisection_finds_the_epoch_at_which_the_tag_took_over() {
    let folder = TempDir::new().unwrap();
    let train = |args: &[&str]| {
        let out = gradscope(folder.path(), &[&["train", "-m", "lenet", "--epochs", "2"], args].concat());
        assert!(out.status.success(), "{out:?}");
    };
    // Two epochs on digits without tags, then two on digits whose 4s carry one.
    train(&["--data", "made:digits", "--out", "clean.safetensors", "--checkpoints", "a"]);
    train(&["-w", "clean.safetensors", "--data", "made:tagged", "--out", "tagged.safetensors", "--checkpoints", "b"]);
    let runs = folder.path().join("runs");
    fs::create_dir(&runs).unwrap();
    for (from, to) in [("a/epoch-0001", 1), ("a/epoch-0002", 2), ("b/epoch-0001", 3), ("b/epoch-0002", 4)] {
        fs::copy(folder.path().join(from).with_extension("safetensors"), runs.join(format!("e{to}.safetensors")))
            .unwrap();
    }
    assert!(run(folder.path(), HANS, &["-w", "clean.safetensors"]).status.success(), "the honest network passes");
    assert_eq!(
        run(folder.path(), HANS, &["-w", "tagged.safetensors"]).status.code(),
        Some(1),
        "the cheating one fails"
    );
    let bisect = |args: &[&str]| gradscope(folder.path(), &[&["bisect", "runs", "--test", "t.rhai"], args].concat());
    let out = bisect(&["--log", "log.json"]);
    let said = text(&out.stdout);
    assert!(out.status.success(), "{out:?}");
    assert!(
        said.contains("e3.safetensors is the first that fails") && said.contains("e2.safetensors passes"),
        "{said}"
    );
    let found: serde_json::Value = serde_json::from_slice(&bisect(&["--log", "log.json", "--json"]).stdout).unwrap();
    assert!(found["judged"].as_array().unwrap().len() <= 4, "at most log2(4) + 2: {found}");
    let late = gradscope(folder.path(), &["bisect", "runs/e[34]*", "--test", "t.rhai"]);
    assert_eq!(late.status.code(), Some(2), "brackets are no pattern: {late:?}");
    fs::remove_file(runs.join("e1.safetensors")).unwrap();
    fs::remove_file(runs.join("e2.safetensors")).unwrap();
    let late = bisect(&[]);
    assert!(late.status.code() == Some(1) && text(&late.stdout).contains("first checkpoint already"), "{late:?}");
}
