//! The sources of a network's preprocessing and class names, and their effect on runs.

use super::{assert_says, gradscope, json, text, wrong};
use gradscope::data::{read_npy, write_npy};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with weights `net.pth` of the network `tiny`.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::copy(fixture("module.pth"), folder.path().join("net.pth")).unwrap();
    folder
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints").join(name)
}

/// The output of a successful command on `tiny` with the weights in the folder: stdout and stderr.
fn said(folder: &Path, arguments: &[&str]) -> (String, String) {
    let tiny = fixture("tiny.rhai").display().to_string();
    let network = match arguments[0] {
        "card" => vec![&*tiny, "-w", "net.pth"],
        _ => vec!["-m", &*tiny, "-w", "net.pth"],
    };
    let out = gradscope(folder, &[arguments, &network].concat());
    assert!(out.status.success(), "{arguments:?}: {}", text(&out.stderr));
    (text(&out.stdout), text(&out.stderr))
}

fn card(folder: &Path, flags: &[&str]) -> Value {
    let (out, _) = said(folder, &[&["card", "--json"], flags].concat());
    serde_json::from_str(&out).unwrap()
}

const TIMM: &str = r#"{ "architecture": "tiny", "label_names": ["x", "y", "z"], "pretrained_cfg":
    { "input_size": [1, 8, 8], "crop_pct": 0.8, "interpolation": "bicubic", "mean": [0.5], "std": [0.25] } }"#;

#[test]
fn flags_are_stronger_than_cards_and_cards_than_the_architecture() {
    let f = folder();
    let f = f.path();
    assert_eq!(card(f, &[])["sources"]["mean"], "architecture");
    fs::write(f.join("preprocessor_config.json"), r#"{ "image_mean": [0.1], "size": 8, "resample": 1 }"#).unwrap();
    assert_eq!(card(f, &[])["sources"]["mean"], "preprocessor_config.json: image_mean");
    fs::write(f.join("config.json"), TIMM).unwrap();
    let timm = card(f, &[]);
    assert_eq!(
        (&timm["mean"][0], &timm["resize"], &timm["interpolation"]),
        (&0.5.into(), &10.into(), &"bicubic".into())
    );
    assert_eq!((&timm["labels"][1], &timm["sources"]["labels"]), (&"y".into(), &"config.json: label_names".into()));
    fs::write(f.join("net.card.json"), r#"{ "mean": 0.75 }"#).unwrap();
    let own = card(f, &[]);
    assert_eq!((&own["mean"][0], &own["sources"]["mean"]), (&0.75.into(), &"net.card.json: mean".into()));
    assert_eq!(own["sources"]["std"], "config.json: pretrained_cfg.std");
    fs::write(f.join("names.txt"), "one\ntwo\nthree\n").unwrap();
    let flags = ["--mean", "0.3", "--std", "0.2", "--size", "16", "--crop", "none", "--labels", "names.txt"];
    let all = card(f, &[&flags[..], &["--interpolation", "nearest"]].concat());
    for (name, source) in all["sources"].as_object().unwrap() {
        assert_eq!(*source, format!("--{name}"));
    }
    assert_eq!((&all["input"][1], &all["resize"], &all["labels"][2]), (&16.into(), &Value::Null, &"three".into()));
    let (shown, quiet) = said(f, &["card"]);
    assert_says(&shown, &["shorter side 10, then center crop", "config.json: pretrained_cfg.crop_pct", "x, y, z"]);
    assert_eq!(quiet, "");
    assert_says(
        &said(f, &["classes"]).1,
        &["card: size, crop, interpolation, std, labels from config.json; mean from net.card.json"],
    );
}

#[test]
fn the_normalization_of_a_card_is_what_the_network_computes() {
    let f = folder();
    let f = f.path();
    let normalized: Vec<f32> = (0..64).map(|i| (i * 29 % 64) as f32 / 64.0).collect();
    let pixels: Vec<f32> = normalized.iter().map(|v| 0.5 + 0.25 * v).collect();
    write_npy(&f.join("normalized.npy"), &[1, 1, 8, 8], &normalized).unwrap();
    write_npy(&f.join("pixels.npy"), &[1, 1, 8, 8], &pixels).unwrap();
    let run = |picture: &str, flags: &[&str]| {
        said(f, &[&["run", "saliency", "-i", picture, "-t", "1", "--out", "o", "--force"], flags].concat());
        let array = |name: &str| read_npy(&f.join("o").join(name)).unwrap();
        let result: Value = serde_json::from_slice(&fs::read(f.join("o/result.json")).unwrap()).unwrap();
        (array("logits.npy"), array("gradient.npy"), result["card"].clone())
    };
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    let (logits, gradient, plain) = run("normalized.npy", &[]);
    assert_eq!((&logits.shape[..], &gradient.shape[..]), (&[1, 3][..], &[1, 1, 8, 8][..]));
    assert_eq!((&plain["mean"][0], &plain["labels"]), (&0.0.into(), &3.into()));
    let by_pixels: Vec<f32> = gradient.values.iter().map(|g| g / 0.25).collect();
    let (same, steeper, used) = run("pixels.npy", &["--mean", "0.5", "--std", "0.25"]);
    assert!(close(&logits.values, &same.values) && close(&by_pixels, &steeper.values));
    assert_eq!((&used["mean"][0], &used["sources"]["mean"]), (&0.5.into(), &"--mean".into()));
    fs::write(f.join("config.json"), TIMM).unwrap();
    let (same, steeper, used) = run("pixels.npy", &[]);
    assert!(close(&logits.values, &same.values) && close(&by_pixels, &steeper.values));
    assert_eq!(used["sources"]["std"], "config.json: pretrained_cfg.std");
}

#[test]
fn a_written_card_is_used_from_then_on_and_only_replaced_by_force() {
    let f = folder();
    let f = f.path();
    let write = |flags: &[&str]| said(f, &[&["card", "--write"], flags].concat()).1;
    assert_says(&write(&["--mean", "0.5", "--std", "0.25", "--crop", "0.5"]), &["wrote net.card.json"]);
    let written: Value = serde_json::from_slice(&fs::read(f.join("net.card.json")).unwrap()).unwrap();
    assert_eq!((&written["crop"], &written["labels"][2]), (&16.into(), &"c".into()));
    let read = card(f, &[]);
    assert!(
        read["sources"].as_object().unwrap().iter().all(|(name, source)| *source == format!("net.card.json: {name}"))
    );
    let tiny = fixture("tiny.rhai").display().to_string();
    let again = ["card", &tiny, "-w", "net.pth", "--write", "--mean", "0.1"];
    assert_says(&wrong(f, &again, 1), &["net.card.json", "exists", "--force"]);
    write(&["--mean", "0.1", "--force"]);
    assert_eq!(card(f, &[])["mean"][0], 0.1);
    assert_says(&wrong(f, &["card", "shapes", "--write"], 2), &["give a weight file with -w"]);
    assert_says(&wrong(f, &["card", "shapes", "--force"], 2), &["--write"]);
}

#[test]
fn damaged_cards_and_wrong_flags_are_errors_that_say_what_is_valid() {
    let f = folder();
    let f = f.path();
    let tiny = fixture("tiny.rhai").display().to_string();
    let network = ["run", "saliency", "-m", &tiny, "-w", "net.pth"];
    for (name, content, parts) in [
        ("config.json", "{", "EOF"),
        (
            "config.json",
            r#"{"pretrained_cfg": {"std": [0]}}"#,
            "\"pretrained_cfg.std\" is [0]: standard deviations must be positive",
        ),
        (
            "preprocessor_config.json",
            r#"{"size": {"edge": 1}}"#,
            "\"size\" is {\"edge\":1}: expected a number, {\"shortest_edge\": N}",
        ),
        (
            "net.card.json",
            r#"{"Mean": 1}"#,
            "unknown key \"Mean\"; expected one of size, crop, interpolation, mean, std, labels",
        ),
        ("net.card.json", r#"{"labels": ["a"]}"#, "has 3 scores but 1 class names (from net.card.json: labels)"),
        ("net.card.json", r#"{"mean": [0.1, 0.2]}"#, "net.card.json: mean has 2 values for 1 channels"),
    ] {
        fs::write(f.join(name), content).unwrap();
        assert_says(&wrong(f, &network, 1), &[parts, name]);
        fs::remove_file(f.join(name)).unwrap();
    }
    for (flag, value, part) in [
        ("--mean", "a,b", "expected numbers separated by commas"),
        ("--std", "0", "must be positive"),
        ("--mean", "127.5", "divide by 255"),
        ("--size", "0", "expected 1 to"),
        ("--crop", "1.5", "expected a fraction such as 0.875"),
        ("--interpolation", "cubic", "expected bilinear, bicubic, lanczos, nearest"),
    ] {
        assert_says(&wrong(f, &[&network[..], &[flag, value]].concat(), 2), &[flag, part]);
    }
    assert_says(&wrong(f, &[&network[..], &["--labels", "none.txt"]].concat(), 1), &["--labels", "none.txt"]);
}

#[test]
fn the_embedded_networks_have_cards_of_their_architecture() {
    let card = json(&["card", "digits", "--json"]);
    assert_eq!((&card["input"][0], &card["model"]), (&1.into(), &"digits".into()));
    assert!(card["sources"].as_object().unwrap().values().all(|source| source == "architecture"));
    assert_eq!(json(&["card", "resnet18", "--size", "288", "--json"])["resize"], 329);
    assert_eq!(json(&["layers", "-m", "resnet18", "--size", "448", "--json"])[2]["shape"][1], 224);
}

#[test]
fn a_graph_with_several_outputs_uses_the_first_or_the_one_that_a_flag_or_card_names() {
    let graphs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/graphs");
    let answers: Value = serde_json::from_str(&fs::read_to_string(graphs.join("two_outputs.json")).unwrap()).unwrap();
    let pixels: Vec<_> = (0..3 * 16 * 16).map(|i| (i * 37 % 101) as f32 / 101.0).collect();
    for (file, names) in [("two_outputs.onnx", ["classes", "attributes"]), ("two_outputs.pt2", ["linear", "linear_1"])]
    {
        let folder = TempDir::new().unwrap();
        let f = folder.path();
        fs::copy(graphs.join(file), f.join(file)).unwrap();
        write_npy(&f.join("x.npy"), &[1, 3, 16, 16], &pixels).unwrap();
        let run = |flags: &[&str]| {
            let arguments =
                ["run", "saliency", "-m", file, "-i", "x.npy", "--mean", "0", "--std", "1", "--out", "out", "--force"];
            let out = gradscope(f, &[&arguments[..], flags].concat());
            assert!(out.status.success(), "{file} {flags:?}: {}", text(&out.stderr));
            let result: Value = serde_json::from_str(&fs::read_to_string(f.join("out/result.json")).unwrap()).unwrap();
            let logits = read_npy(&f.join("out/logits.npy")).unwrap();
            ((logits.shape, logits.values), text(&out.stderr), result["card"].clone())
        };
        let agrees = |(shape, values): (Vec<usize>, Vec<f32>), key: &str| {
            let wanted: Vec<_> = answers[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
            let half = &wanted[..wanted.len() / 2];
            assert_eq!(shape, [1, half.len()], "{file} {key}");
            assert!(values.iter().zip(half).all(|(a, b)| (a - b).abs() < 1e-5), "{file} {key}: {values:?}");
        };
        let (logits, said, used) = run(&[]);
        agrees(logits, "classes");
        assert_says(&said, &[&format!("using the output {}; select another with --output: {}", names[0], names[1])]);
        assert_eq!((used["output"].as_str(), used["sources"]["output"].as_str()), (Some(names[0]), Some(file)));
        let (logits, said, used) = run(&["--output", names[1]]);
        agrees(logits, "attributes");
        assert!(!said.contains("--output"), "{said}");
        assert_eq!((used["output"].as_str(), used["sources"]["output"].as_str()), (Some(names[1]), Some("--output")));
        fs::write(f.join("two_outputs.card.json"), format!(r#"{{ "output": "{}" }}"#, names[1])).unwrap();
        let (logits, said, _) = run(&[]);
        agrees(logits, "attributes");
        assert_says(&said, &["output from two_outputs.card.json"]);
        agrees(run(&["--output", names[0]]).0, "classes");
        let error = wrong(f, &["run", "saliency", "-m", file, "--output", "boxes"], 1);
        assert_says(&error, &[&format!("no output \"boxes\"; expected one of {}, {}", names[0], names[1])]);
    }
    for network in ["-m", "-w"] {
        let error = wrong(folder().path(), &["run", "saliency", network, "net.pth", "--output", "x"], 1);
        assert_says(&error, &["--output", "only .onnx and .pt2 files have named outputs"]);
    }
}

#[test]
fn a_network_that_takes_bgr_gives_the_scores_and_gradients_of_the_reversed_picture() {
    let graphs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/graphs");
    let folder = TempDir::new().unwrap();
    let f = folder.path();
    for file in ["two_outputs.onnx", "two_outputs.pt2"] {
        fs::copy(graphs.join(file), f.join(file)).unwrap();
    }
    let plane = |c: usize| (0..16 * 16).map(move |i| ((i * 37 + c * 101) % 251) as f32 / 251.0);
    let pixels = |order: [usize; 3]| order.into_iter().flat_map(plane).collect::<Vec<_>>();
    write_npy(&f.join("rgb.npy"), &[1, 3, 16, 16], &pixels([0, 1, 2])).unwrap();
    write_npy(&f.join("bgr.npy"), &[1, 3, 16, 16], &pixels([2, 1, 0])).unwrap();
    let run = |model: &str, picture: &str, flags: &[&str]| {
        let arguments = ["run", "saliency", "-m", model, "-i", picture, "-t", "1", "--out", "out", "--force"];
        let out = gradscope(f, &[&arguments[..], flags].concat());
        assert!(out.status.success(), "{model} {flags:?}: {}", text(&out.stderr));
        let read = |name: &str| read_npy(&f.join("out").join(name)).unwrap().values;
        (read("logits.npy"), read("gradient.npy"))
    };
    // Per-channel means and standard deviations are in RGB order, whatever order the network expects.
    let normalized = |mean: &'static str, std: &'static str| ["--mean", mean, "--std", std];
    for model in ["two_outputs.onnx", "two_outputs.pt2"] {
        let (logits, gradient) = run(model, "rgb.npy", &normalized("0.1,0.2,0.3", "0.4,0.5,0.6"));
        let order = [&normalized("0.3,0.2,0.1", "0.6,0.5,0.4")[..], &["--channel-order", "bgr"]].concat();
        let (ours, turned) = run(model, "bgr.npy", &order);
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near(&ours, &logits), "{model}: {ours:?} instead of {logits:?}");
        let planes: Vec<_> = turned.chunks(256).rev().flatten().copied().collect();
        assert!(near(&planes, &gradient), "{model}");
    }
    // The same with a card file, and for a scripted architecture.
    fs::write(f.join("two_outputs.card.json"), r#"{ "channel_order": "bgr", "mean": 0, "std": 1 }"#).unwrap();
    let (ours, _) = run("two_outputs.onnx", "bgr.npy", &[]);
    fs::remove_file(f.join("two_outputs.card.json")).unwrap();
    assert_eq!(ours, run("two_outputs.onnx", "rgb.npy", &["--mean", "0", "--std", "1"]).0);
    let flags = ["--no-resize", "--mean", "0.4", "--std", "0.3"];
    let (plain, _) = run("shapes", "rgb.npy", &flags);
    let (ours, _) = run("shapes", "bgr.npy", &[&flags[..], &["--channel-order", "bgr"]].concat());
    assert_eq!(ours, plain);
    let error = wrong(f, &["run", "saliency", "-m", "digits", "--channel-order", "bgr"], 1);
    assert_says(&error, &["channel order bgr needs an input with 3 channels, got 1"]);
}
