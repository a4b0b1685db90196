//! Networks whose scores are not finite, and pictures whose values are not pixels, are reported by every command.

use super::{assert_says, gradscope, text, wrong};
use candle_core::{Device, Tensor};
use gradscope::data::{read_npy, write_npy};
use gradscope::graph::Graph;
use gradscope::model::Model;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

fn own(name: &str) -> Model {
    Architectures::new(Folders::models(None), &Arc::default()).open(name, None).unwrap()
}

/// The built-in network with one weight changed.
fn broken(folder: &Path, model: &str, tensor: &str, place: usize, value: f32) -> PathBuf {
    let graph: Arc<Graph> = own(model).graph;
    let mut weights: BTreeMap<String, Tensor> = graph.weights();
    let old = &weights[tensor];
    let mut numbers: Vec<f32> = old.flatten_all().unwrap().to_vec1().unwrap();
    numbers[place] = value;
    let new = Tensor::from_vec(numbers, old.shape(), &Device::Cpu).unwrap();
    weights.insert(tensor.into(), new);
    let file = folder.join("broken.safetensors");
    candle_core::safetensors::save(&weights.into_iter().collect(), &file).unwrap();
    file
}

/// Whether a JSON value is free of non-finite numbers.
fn clean(value: &Value) -> bool {
    match value {
        Value::Array(all) => all.iter().all(clean),
        Value::Object(all) => all.values().all(clean),
        Value::Number(n) => n.as_f64().is_some_and(f64::is_finite),
        _ => true,
    }
}

/// The error of a failing command, possibly after a note on how classes are matched.
fn failed(folder: &Path, args: &[&str]) -> String {
    let out = gradscope(folder, args);
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(1), String::new()), "{args:?}: {}", text(&out.stderr));
    text(&out.stderr)
}

const METHODS: [&str; 10] = [
    "gradcam",
    "saliency",
    "lrp",
    "integrated_gradients",
    "occlusion",
    "fgsm",
    "pgd",
    "deepfool",
    "autoattack",
    "hopskipjump",
];

#[test]
fn no_command_names_a_class_if_scores_are_not_finite() {
    let folder = TempDir::new().unwrap();
    let names = own("shapes").graph.weights().into_keys().collect::<Vec<_>>();
    let (first, last) = (names.iter().find(|n| n.ends_with("weight")).unwrap().clone(), "fc.bias".to_string());
    let last = if names.contains(&last) { last } else { names.iter().rfind(|n| n.ends_with("bias")).unwrap().clone() };
    for (tensor, value, told) in
        [(&first, f32::NAN, "NaN"), (&last, f32::NEG_INFINITY, "infinite"), (&last, f32::INFINITY, "infinite")]
    {
        let file = broken(folder.path(), "shapes", tensor, 0, value);
        let file = file.to_str().unwrap();
        let layer = tensor.rsplit_once('.').unwrap().0;
        let parts = ["scores are not finite", "first in layer", layer, &format!("in \"{tensor}\" 1 of"), told];
        for method in METHODS {
            assert_says(&wrong(folder.path(), &["run", method, "-m", "shapes", "-w", file, "--json"], 1), &parts);
        }
        for method in ["class_accuracy", "robustness", "fgsm_curve", "universal", "mean_heatmap"] {
            let args =
                ["run", method, "-m", "shapes", "-w", file, "--data", "made:shapes", "--set", "count=12", "--json"];
            assert_says(&failed(folder.path(), &args), &parts);
        }
        let args = ["eval", "-m", "shapes", "-w", file, "--data", "made:shapes"];
        assert_says(&failed(folder.path(), &args), &parts);
        // Choosing a class does not help: probabilities and losses depend on all scores.
        assert_says(&wrong(folder.path(), &["run", "saliency", "-m", "shapes", "-w", file, "-t", "3"], 1), &parts);
    }
}

#[test]
fn methods_that_need_no_class_run_and_count_non_finite_values() {
    let folder = TempDir::new().unwrap();
    let tensor = own("shapes").graph.weights().into_keys().find(|n| n.ends_with("weight")).unwrap();
    let file = broken(folder.path(), "shapes", &tensor, 0, f32::NAN);
    let layer = tensor.rsplit_once('.').unwrap().0;
    for method in ["network", "channels", "filters"] {
        let mut args = vec!["run", method, "-m", "shapes", "-w", file.to_str().unwrap(), "--json", "--out", method];
        let set = format!("layer={layer}");
        if method != "filters" {
            args.extend(["--set", &set]);
        }
        let out = gradscope(folder.path(), &args);
        assert!(out.status.success(), "{method}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains("scores are not finite"), "{method}: {}", text(&out.stderr));
        let result: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert!(clean(&result) && result["top5"] == serde_json::json!([]) && result["target"].is_null(), "{result}");
        assert_eq!(result["not_finite"], 10, "{method}");
        let kept = std::fs::read(folder.path().join(method).join("result.json")).unwrap();
        let result: Value = serde_json::from_slice(&kept).unwrap();
        let counted = result["figures"].as_array().unwrap().iter().filter(|f| f["not_finite"].as_u64() > Some(0));
        let counted: Vec<_> = counted.collect();
        assert!(!counted.is_empty(), "{method}: {result}");
        for figure in counted {
            let raw = read_npy(&folder.path().join(method).join(figure["raw"].as_str().unwrap())).unwrap();
            let bad = raw.values.iter().filter(|v| !v.is_finite()).count();
            assert_eq!(figure["not_finite"], bad, "{method}: {figure}");
            let image =
                image::open(folder.path().join(method).join(figure["file"].as_str().unwrap())).unwrap().to_rgb8();
            assert!(image.pixels().any(|p| p.0 == [255, 0, 255]), "{method}: {figure}");
        }
    }
}

#[test]
fn values_that_are_not_pixels_are_rejected_by_every_method() {
    let folder = TempDir::new().unwrap();
    let size: usize = 3 * 128 * 128;
    let write = |name: &str, of: &dyn Fn(usize) -> f32| {
        write_npy(&folder.path().join(name), &[3, 128, 128], &(0..size).map(of).collect::<Vec<_>>()).unwrap();
    };
    write("bytes.npy", &|i| (i % 256) as f32);
    write("normalised.npy", &|i| (i % 50) as f32 / 10.0 - 2.1);
    write("beyond.npy", &|i| if i == 77 { 1.5 } else { 0.5 });
    write("rounded.npy", &|i| if i % 2 == 0 { 1.000_000_1 } else { -1e-6 });
    for (picture, told) in
        [("bytes.npy", "divide them by 255"), ("normalised.npy", "look normalized"), ("beyond.npy", "0.5 to 1.5")]
    {
        for method in ["fgsm", "pgd", "saliency", "occlusion", "smoothgrad"] {
            assert_says(&wrong(folder.path(), &["run", method, "-i", picture], 1), &[picture, told]);
        }
    }
    let out =
        gradscope(folder.path(), &["run", "fgsm", "-i", "rounded.npy", "--set", "epsilon=8", "--steps", "1", "--json"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let result: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(result["steps"][1]["linf"].as_f64().unwrap() <= 8.001, "{result}");
}

#[test]
fn in_a_ball_of_radius_0_is_one_point_in_every_norm() {
    let folder = TempDir::new().unwrap();
    for attack in ["pgd", "apgd", "autoattack"] {
        for norm in ["linf", "l2", "l1"].iter().take(if attack == "pgd" { 3 } else { 2 }) {
            let norm = format!("norm={norm}");
            let set = ["--set", "epsilon=0", "--set", &norm, "--steps", "3", "--json"];
            let out = gradscope(folder.path(), &[&["run", attack][..], &set].concat());
            assert!(out.status.success(), "{attack} {norm}: {}", text(&out.stderr));
            let result: Value = serde_json::from_slice(&out.stdout).unwrap();
            let last = result["steps"].as_array().unwrap().last().unwrap();
            assert!(clean(&result) && last["linf"] == 0.0 && last["l2"] == 0.0, "{attack} {norm}: {last}");
            assert!(!result["done"].as_str().unwrap_or_default().starts_with("fooled"), "{attack} {norm}: {result}");
        }
        let set = format!("set=epsilon=0 norm=l2{}", if attack == "autoattack" { " queries=20" } else { "" });
        let method = format!("attack={attack}");
        let args = [
            "run",
            "robustness",
            "--data",
            "made:shapes",
            "--set",
            "count=6",
            "--set",
            &method,
            "--set",
            &set,
            "--set",
            "steps=5",
            "--json",
        ];
        let out = gradscope(folder.path(), &args);
        assert!(out.status.success(), "{attack}: {}", text(&out.stderr));
        let result: Value = serde_json::from_slice(&out.stdout).unwrap();
        let last = result["steps"].as_array().unwrap().last().unwrap();
        assert!(last["right"] == last["robust"] && last["not_finite"] == 0.0, "{attack}: {last}");
    }
}
