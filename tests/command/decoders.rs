//! Third-party decoders: a panic in one becomes an error that names the file, wherever it is read.

use crate::common::png::png_with_palette;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn gradscope(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
    command.args(args).current_dir(folder).env("HOME", folder).env("XDG_CONFIG_HOME", folder);
    command.env("GRADSCOPE_CACHE", "").env_remove("RUST_BACKTRACE").output().unwrap()
}

/// The error of a failing command: one sentence, exit code 1, no mention of a panic.
fn error(folder: &Path, args: &[&str]) -> String {
    let out = gradscope(folder, args);
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{args:?}: {said}");
    assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{args:?}: {said}");
    let errors = said.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, 1, "{args:?}: {said}");
    said
}

#[test]
fn a_png_that_makes_its_decoder_panic_is_reported_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    for length in [1, 2, 4, 5, 100, 766, 767] {
        fs::write(folder.path().join("evil.png"), png_with_palette(length)).unwrap();
        let said = error(folder.path(), &["run", "saliency", "-i", "evil.png"]);
        assert!(said.contains("evil.png") && said.contains("damaged"), "{length}: {said}");
    }
}

#[test]
fn an_invalid_picture_in_a_data_set_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (class, length) in [("0", 768), ("1", 5)] {
        fs::create_dir_all(folder.path().join("set").join(class)).unwrap();
        fs::write(folder.path().join("set").join(class).join("a.png"), png_with_palette(length)).unwrap();
    }
    let said = error(folder.path(), &["eval", "-m", "digits", "--data", "folder:set"]);
    assert!(said.contains("set/1/a.png") && said.contains("damaged"), "{said}");
    assert!(error(folder.path(), &["run", "saliency", "-i", "folder:set[1]"]).contains("a.png"));
    let training = ["train", "-m", "digits", "--data", "folder:set", "--epochs", "1"];
    assert!(error(folder.path(), &training).contains("a.png"));
}

/// Calls that pass external data to a decoder.
const CALLS: [&str; 8] = [
    "ImageReader::",
    "image::load_from_memory",
    "ZipArchive::new(",
    "GzDecoder::new(",
    "SafeTensors::read_metadata(",
    "load_buffer(",
    "serde_json::from_str(",
    "serde_json::from_slice(",
];

/// Files whose calls are guarded by a `decoding` in their caller, with the caller.
const COVERED: [(&str, &str); 2] = [
    ("src/model/weights/pth.rs", "src/model/weights/mod.rs"),
    ("src/model/weights/safetensors.rs", "src/model/weights/mod.rs"),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn every_decoder_call_is_guarded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for file in sources(&root.join("src")).into_iter().filter(|file| file.extension().is_some_and(|e| e == "rs")) {
        let text = fs::read_to_string(&file).unwrap();
        let own = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let calls: usize = CALLS.iter().map(|call| own.matches(call).count()).sum();
        let name = file.strip_prefix(root).unwrap().display().to_string().replace('\\', "/");
        seen += calls;
        let guard = COVERED.iter().find(|(covered, _)| *covered == name).map_or(name.as_str(), |(_, by)| by);
        let guard = fs::read_to_string(root.join(guard)).unwrap();
        let guards = guard.matches("decoding(").count() + guard.matches("caught(").count();
        assert!(calls == 0 || guards > 0, "{name} calls a decoder outside of panics::decoding");
    }
    assert!(seen >= 12, "only {seen} calls were found");
}
