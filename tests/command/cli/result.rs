//! `result.json` follows its schema, and says what a paper needs.

use super::{gradscope, json, text};
use crate::common::json_schema::errors;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn schema() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/result.schema.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a method with `--json` in a folder and returns the result.
fn result(folder: &Path, args: &[&str]) -> Value {
    let out = gradscope(folder, &[&["run"], args, &["--json"]].concat());
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn results_of_all_kinds_follow_the_schema() {
    let folder = TempDir::new().unwrap();
    let schema = schema();
    for args in [
        &["gradcam"][..],
        &["fgsm", "--steps", "2", "--out", "fgsm"],
        &["class_accuracy", "--data", "made:shapes", "--set", "count=20"],
        &["neighbours", "--data", "made:shapes", "--set", "count=20", "--out", "near"],
        &["saliency", "-t", "star - ring", "--ablate", "conv2:channel=3", "--precision", "bf16", "--check-precision"],
        &["network", "--out", "network"],
        &["pixel_flipping", "--steps", "1"],
    ] {
        let found = result(folder.path(), args);
        assert_eq!(errors(&schema, &found), Vec::<String>::new(), "{args:?}");
        if let Some(at) = args.iter().position(|arg| *arg == "--out") {
            let file = folder.path().join(args[at + 1]).join("result.json");
            let written: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
            assert_eq!(errors(&schema, &written), Vec::<String>::new(), "{args:?}");
            assert!(written["figures"][0]["file"].is_string());
        }
    }
}

#[test]
fn the_schema_rejects_what_is_missing_unknown_or_of_another_type() {
    let (schema, right) = (schema(), json(&["run", "gradcam", "--json"]));
    assert_eq!(errors(&schema, &right), Vec::<String>::new());
    let wrong = |change: &dyn Fn(&mut Value)| {
        let mut found = right.clone();
        change(&mut found);
        errors(&schema, &found).len()
    };
    assert_eq!(wrong(&|r| drop(r.as_object_mut().unwrap().remove("seed"))), 1);
    assert_eq!(wrong(&|r| r["more"] = json!(1)), 1);
    assert_eq!(wrong(&|r| r["schema"] = json!(2)), 1);
    assert_eq!(wrong(&|r| r["seed"] = json!("0")), 1);
    assert_eq!(wrong(&|r| r["precision"] = json!("f31")), 1);
    assert_eq!(wrong(&|r| r["figures"][0]["shape"] = json!([1, "2"])), 1);
    assert_eq!(wrong(&|r| r["parameters"]["layer"] = json!({})), 1);
}

#[test]
fn a_result_identifies_its_picture_weights_script_and_command() {
    let folder = TempDir::new().unwrap();
    let set = gradscope::data::source::open("made:shapes").unwrap();
    let picture = set.picture(3).unwrap().thumbnail(50).unwrap();
    image::imageops::crop_imm(&picture, 0, 0, 50, 40).to_image().save(folder.path().join("a b.png")).unwrap();
    let script = "//! Mine.\nimport \"lib/cam\" as cam;\nconst PLUGIN = #{ params: [] };\nfn run(cx) { [image(cx.input, \"x\")] }\n";
    fs::write(folder.path().join("mine.rhai"), script).unwrap();
    let found = result(folder.path(), &["mine.rhai", "-i", "a b.png", "--seed", "7"]);
    let words = ["gradscope", "run", "mine.rhai", "-i", "a b.png", "--seed", "7", "--json"];
    assert_eq!((&found["command"], &found["seed"]), (&json!(words), &json!(7)));
    let here = folder.path().canonicalize().unwrap();
    assert_eq!(Path::new(found["folder"].as_str().unwrap()).canonicalize().unwrap(), here);
    let bytes = fs::read(folder.path().join("a b.png")).unwrap();
    let shown = &found["picture"];
    assert_eq!(shown["sha256"], sha256(&bytes));
    assert_eq!((&shown["height"], &shown["width"], &shown["source"]), (&json!(40), &json!(50), &json!("a b.png")));
    assert!(
        shown["path"].as_str().unwrap().ends_with("a b.png")
            && Path::new(shown["path"].as_str().unwrap()).is_absolute()
    );
    assert_eq!(found["input"]["shape"], json!([1, 3, 128, 128]));
    assert_eq!(found["script"]["sha256"], sha256(script.as_bytes()));
    let library = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/lib/cam.rhai")).unwrap();
    assert_eq!(found["script"]["libraries"]["lib/cam"], sha256(&library));
    let weights = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/small/shapes.safetensors")).unwrap();
    assert_eq!(found["weights"]["sha256"], sha256(&weights));
    let date = found["date"].as_str().unwrap();
    assert!(date.len() == 20 && date.ends_with('Z') && date > "2026", "{date}");
    assert!(found["threads"].as_u64().unwrap() >= 1 && found["version"] == env!("CARGO_PKG_VERSION"));
    let again = result(folder.path(), &["mine.rhai", "-i", "made:shapes[3]"]);
    assert_eq!((&again["picture"]["path"], &again["picture"]["sha256"]), (&Value::Null, &Value::Null));
    assert_ne!(again["input"]["sha256"], found["input"]["sha256"]);
}

#[test]
fn an_attack_lists_the_classes_before_and_after_and_its_badges() {
    let folder = TempDir::new().unwrap();
    let found = result(folder.path(), &["fgsm", "--set", "epsilon=16", "--set", "random_start=true"]);
    let classes =
        |key: &str| found[key].as_array().unwrap().iter().map(|c| c["class"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!((classes("top5").len(), classes("attacked_top5").len()), (5, 5));
    let fooled = found["badges"].as_array().unwrap().iter().find(|badge| badge["text"] == "fooled").unwrap();
    assert_eq!(fooled["good"] == json!(true), classes("top5")[0] != classes("attacked_top5")[0], "{found}");
    assert_eq!((&found["parameters"]["epsilon"], &found["parameters"]["random_start"]), (&json!(16.0), &json!(true)));
    assert_eq!((&found["parameters"]["goal"], &found["parameters"]["values"]), (&Value::Null, &json!(100)));
    let millis = &found["timings"];
    let sum: f64 = millis["steps_ms"].as_array().unwrap().iter().map(|ms| ms.as_f64().unwrap()).sum();
    assert!((millis["total_ms"].as_f64().unwrap() - sum).abs() < 1e-6 * sum);
    assert_eq!(result(folder.path(), &["saliency"])["attacked_top5"], Value::Null);
}

#[test]
fn a_figure_has_the_shape_range_and_hash_of_its_array() {
    let folder = TempDir::new().unwrap();
    let out = gradscope(folder.path(), &["run", "gradcam", "--out", "o"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let found: Value = serde_json::from_slice(&fs::read(folder.path().join("o/result.json")).unwrap()).unwrap();
    let figures = found["figures"].as_array().unwrap();
    let arrays: Vec<_> = figures.iter().filter(|figure| figure["raw"].is_string()).collect();
    assert!(arrays.len() >= 2, "{found}");
    for figure in arrays {
        let file = folder.path().join("o").join(figure["raw"].as_str().unwrap());
        let array = gradscope::data::read_npy(&file).unwrap();
        assert_eq!(figure["shape"], json!(array.shape));
        assert_eq!(figure["sha256"], sha256(&fs::read(&file).unwrap()));
        let [low, high] = [0, 1].map(|end| figure["range"][end].as_f64().unwrap() as f32);
        let all = |f: fn(f32, f32) -> f32| array.values.iter().copied().reduce(f).unwrap();
        assert_eq!((low, high), (all(f32::min), all(f32::max)));
    }
    let classes = figures.iter().find(|figure| figure["kind"] == "classes").unwrap();
    assert_eq!(
        (&classes["unit"], &classes["classes"][0]["class"]),
        (&json!("probability"), &found["top5"][0]["class"])
    );
}
