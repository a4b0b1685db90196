//! Output files of a run for other programs: logits, gradients and maps as arrays; and module names as layers.

use super::{assert_says, gradscope, text, wrong};
use gradscope::data::formats::npy::Npy;
use gradscope::data::{read_npy, write_npy};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// Runs a command with `--out o` and returns the arrays of these files and `result.json`.
fn written<const N: usize>(folder: &Path, arguments: &[&str], files: [&str; N]) -> ([Npy; N], Value) {
    let out = gradscope(folder, &[&["run"], arguments, &["--out", "o", "--force"]].concat());
    assert!(out.status.success(), "{arguments:?}: {}", text(&out.stderr));
    let result = serde_json::from_slice(&fs::read(folder.join("o/result.json")).unwrap()).unwrap();
    (files.map(|name| read_npy(&folder.join("o").join(name)).unwrap()), result)
}

#[test]
fn every_run_writes_the_logits_of_its_picture() {
    let folder = TempDir::new().unwrap();
    for arguments in [&["saliency"][..], &["fgsm", "--steps", "2"], &["network"]] {
        let ([logits], result) = written(folder.path(), arguments, ["logits.npy"]);
        assert_eq!(logits.shape, [1, 10], "{arguments:?}");
        let top = result["top5"][0].clone();
        let (class, logit) = (top["class"].as_u64().unwrap() as usize, top["logit"].as_f64().unwrap());
        assert!((f64::from(logits.values[class]) - logit).abs() < 1e-5 * logit.abs(), "{arguments:?}");
    }
}

#[test]
fn ablated_units_are_listed_and_change_the_logits() {
    let folder = TempDir::new().unwrap();
    let ([intact], result) = written(folder.path(), &["saliency"], ["logits.npy"]);
    assert_eq!(result["ablated"], serde_json::json!([]));
    let arguments = ["saliency", "--ablate", "conv2:channel=3,1", "--ablate", "conv1:channel=0"];
    let ([ablated], result) = written(folder.path(), &arguments, ["logits.npy"]);
    assert_eq!(result["ablated"], serde_json::json!(["conv1:channel=0", "conv2:channel=1", "conv2:channel=3"]));
    assert_ne!(ablated.values, intact.values);
    let said = wrong(folder.path(), &["run", "saliency", "--ablate", "conv1:channel=16"], 2);
    assert_says(&said, &["layer \"conv1\" has 16 channels; there is no channel 16"]);
}

#[test]
fn logits_are_those_before_the_last_sigmoid_or_the_whole_map() {
    let folder = TempDir::new().unwrap();
    let see = "//! Shows the first channel.\nconst PLUGIN = #{ params: [] };\nfn run(cx) { [image(cx.input.narrow(1, 0, 1), \"x\")] }";
    fs::write(folder.path().join("see.rhai"), see).unwrap();
    let values: Vec<u8> = [10f32, 0.0, 0.0, 10.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    write_npy(&folder.path().join("x.npy"), &[1, 2, 2, 2], &[0.0, 0.5, 0.5, 1.0, 0.25, 0.25, 0.25, 0.25]).unwrap();
    let logits = |name: &str, shape: &str, build: &str| {
        let script = format!("//! A test.\nconst MODEL = #{{ input: [2, 2, 2] }};\nfn build(x) {{ {build} }}");
        fs::write(folder.path().join("net.rhai"), script).unwrap();
        let head = format!(r#"{{"{name}.weight": {{"dtype": "F32", "shape": {shape}, "data_offsets": [0, 16]}}}}"#);
        let weights = [&(head.len() as u64).to_le_bytes(), head.as_bytes(), &values].concat();
        fs::write(folder.path().join("net.safetensors"), weights).unwrap();
        let arguments = ["see.rhai", "-m", "net.rhai", "-w", "net.safetensors", "-i", "x.npy"];
        let ([logits], _) = written(folder.path(), &arguments, ["logits.npy"]);
        (logits.shape, logits.values)
    };
    let linear = "x.global_avg_pool(\"pool\").linear(\"fc\", 2, #{ bias: false })";
    for end in ["", ".sigmoid(\"p\")", ".softmax(\"p\")"] {
        assert_eq!(logits("fc", "[2, 2]", &format!("{linear}{end}")), (vec![1, 2], vec![5.0, 2.5]), "{end}");
    }
    let one = format!("{linear}.slice(\"one\", 1, #{{ start: 1 }}).sigmoid(\"p\")");
    assert_eq!(logits("fc", "[2, 2]", &one), (vec![1, 1], vec![2.5]));
    let map = logits("map", "[2, 2, 1, 1]", "x.conv(\"map\", 2, 1, #{ bias: false }).relu(\"relu\")");
    assert_eq!(map, (vec![1, 2, 2, 2], vec![0.0, 5.0, 5.0, 10.0, 2.5, 2.5, 2.5, 2.5]));
}

#[test]
fn the_raw_map_of_gradcam_has_the_layers_size_and_negative_values() {
    let folder = TempDir::new().unwrap();
    let ([cam, raw], result) = written(folder.path(), &["gradcam", "-t", "3"], ["cam.npy", "cam_raw.npy"]);
    assert!(raw.shape[2] < cam.shape[2] && raw.shape[..2] == [1, 1], "{:?}", raw.shape);
    let least = |array: &Npy| array.values.iter().copied().fold(f32::INFINITY, f32::min);
    assert!(least(&raw) < 0.0 && least(&cam) == 0.0, "{} {}", least(&raw), least(&cam));
    assert!(result["parameters"]["layer"].is_string() && result["card"]["mean"].is_array());
}

#[test]
fn a_module_names_the_layer_that_is_its_output() {
    let folder = TempDir::new().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints");
    let at = |name: &str| fixtures.join(name).display().to_string();
    let (tiny, weights) = (at("tiny.rhai"), at("module.pth"));
    let network = ["gradcam", "-m", &tiny, "-w", &weights];
    let run = |layer: &str| {
        let set = format!("layer={layer}");
        let ([raw], result) = written(folder.path(), &[&network[..], &["--set", &set]].concat(), ["cam_raw.npy"]);
        (raw.values, result["parameters"]["layer"].as_str().unwrap().to_string())
    };
    assert_eq!(run("features"), run("features.2"));
    assert_eq!(run("features").1, "features.2");
    let empty = TempDir::new().unwrap();
    let said = wrong(empty.path(), &[&["run"], &network[..], &["--set", "layer=feature"]].concat(), 2);
    assert_says(&said, &["no layer named \"feature\"; similar names: features,"]);
}

#[test]
fn an_array_is_used_as_it_is_if_the_network_accepts_its_size() {
    let folder = TempDir::new().unwrap();
    let values = |n: usize| (0..n).map(|i| (i % 7) as f32 / 7.0).collect::<Vec<_>>();
    write_npy(&folder.path().join("pixels.npy"), &[1, 3, 50, 70], &values(3 * 50 * 70)).unwrap();
    let ([gradient], _) = written(folder.path(), &["saliency", "-i", "pixels.npy"], ["gradient.npy"]);
    assert_eq!(gradient.shape, [1, 3, 50, 70]);
    write_npy(&folder.path().join("small.npy"), &[1, 1, 20, 20], &values(400)).unwrap();
    let error = wrong(folder.path(), &["run", "saliency", "-m", "digits", "-i", "small.npy"], 1);
    assert_says(&error, &["small.npy", "digits"]);
}
