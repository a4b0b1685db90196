//! Errors about files without a graph end with Python code that exports one, whatever the file names.

use super::{gradscope, text};
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A state dict that fits no architecture.
fn safetensors() -> Vec<u8> {
    let tensor = Tensor::zeros((2, 3, 2, 2), DType::F32, &Device::Cpu).unwrap();
    let tensors: HashMap<_, _> = [("own.weight".to_string(), tensor)].into();
    safetensors::serialize(&tensors, None).unwrap()
}

/// A pickle of a module that was not written by torch.save: `nets.Net` with empty `_parameters` and `_modules`.
fn pickled_module() -> Vec<u8> {
    b"\x80\x02cnets\nNet\n)\x81}(X\x0b\0\0\0_parameters}X\x08\0\0\0_modules}ub.".to_vec()
}

/// File stems, and their representation as Python literals.
const NAMES: [(&str, &str); 4] = [
    ("net", "net"),
    ("my 'best' \"net\"", "my 'best' \\\"net\\\""),
    ("n\u{1b}[31m\n\u{202e}", "n\\x1b[31m\\x0a\\u202e"),
    ("réseau.v2", "réseau.v2"),
];

/// The first line and the remaining lines of a command's error, which must end with unindented Python code.
fn lines(folder: &Path, args: &[&str]) -> (String, Vec<String>) {
    let out = gradscope(folder, args);
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{args:?}: {said}");
    assert!(!said.trim_end_matches('\n').contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
    let mut lines: Vec<_> = said.lines().map(String::from).collect();
    let first = lines.remove(0);
    assert!(first.starts_with("error: ") && first.ends_with("\" in Python"), "{said}");
    assert_eq!(lines[0], "import torch", "{said}");
    assert!(lines.last().unwrap().contains("gradscope.export(model, picture, \""), "{said}");
    assert!(lines.iter().all(|line| !line.starts_with(' ')), "{said}");
    (first, lines)
}

#[test]
fn each_kind_of_file_gets_the_lines_that_open_it_in_pytorch() {
    let read = |name: &str| fs::read(fixture(name)).unwrap();
    let kinds: [(&str, Vec<u8>, &str, &str); 9] = [
        (
            "pt",
            read("formats/zip.pt"),
            "no architecture",
            "model.load_state_dict(torch.load({}, map_location=\"cpu\"))",
        ),
        (
            "pth",
            read("formats/legacy.pt"),
            "no architecture",
            "model.load_state_dict(torch.load({}, map_location=\"cpu\"))",
        ),
        (
            "ckpt",
            read("formats/checkpoint.pt"),
            "no architecture",
            "t for name, t in torch.load({}, map_location=\"cpu\")[\"state_dict\"].items()})",
        ),
        ("safetensors", safetensors(), "no architecture", "model.load_state_dict(safetensors.torch.load_file({}))"),
        (
            "pt",
            read("formats/module.pt"),
            "no architecture",
            "model = torch.load({}, map_location=\"cpu\", weights_only=False).float()",
        ),
        ("pt", read("formats/script.pt"), "TorchScript", "model = torch.jit.load({}, map_location=\"cpu\")"),
        ("pt2", read("formats/script.pt"), "TorchScript", "model = torch.jit.load({}, map_location=\"cpu\")"),
        ("pth", pickled_module(), "not written by torch.save", "model = pickle.load(open({}, \"rb\")).float()"),
        ("pt", read("formats/nothing.pt"), "contains no tensors", "model = MyNet()"),
    ];
    for (ending, bytes, what, load) in &kinds {
        for (name, written) in NAMES {
            let folder = TempDir::new().unwrap();
            let file = format!("{name}.{ending}");
            fs::write(folder.path().join(&file), bytes).unwrap();
            let (first, lines) = lines(folder.path(), &["run", "gradcam", "-m", &file]);
            assert!(first.contains(what), "{first}");
            let load = load.replace("{}", &format!("\"{written}.{ending}\""));
            assert!(lines.iter().any(|line| line.contains(&load)), "no {load:?} in {lines:#?}");
            let to = if *ending == "pt2" { format!("\"{written}.graph.pt2\")") } else { format!("\"{written}.pt2\")") };
            assert!(
                lines.iter().any(|line| line.starts_with("torch.export.save(") && line.ends_with(&to)),
                "{lines:#?}"
            );
        }
    }
}

#[test]
fn weights_that_fit_neither_the_named_architecture_nor_another_get_lines_too() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("own.safetensors"), safetensors()).unwrap();
    let (first, lines) = lines(folder.path(), &["run", "gradcam", "-m", "resnet18", "-w", "own.safetensors"]);
    assert!(first.contains("loading \"own.safetensors\" into resnet18"), "{first}");
    assert!(lines.iter().any(|line| line.contains("load_file(\"own.safetensors\")")), "{lines:?}");
}

#[test]
fn code_of_a_file_that_is_no_module_is_not_recommended() {
    let folder = TempDir::new().unwrap();
    fs::copy(fixture("formats/code_legacy.pt"), folder.path().join("evil.pt")).unwrap();
    let (first, lines) = lines(folder.path(), &["run", "gradcam", "-m", "evil.pt"]);
    assert!(first.contains("posix.system"), "{first}");
    assert!(!lines.iter().any(|line| line.contains("evil.pt\"") || line.contains("weights_only=False")), "{lines:?}");
}
