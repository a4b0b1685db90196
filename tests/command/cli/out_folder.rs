//! `--out` does not mix the results of different commands in a folder.

use super::{assert_says, files, gradscope, text, wrong};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn ran(folder: &Path, args: &[&str]) {
    let out = gradscope(folder, args);
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
}

#[test]
fn a_folder_with_another_result_needs_force_or_a_new_name() {
    let folder = TempDir::new().unwrap();
    ran(folder.path(), &["run", "gradcam", "--out", "o"]);
    fs::write(folder.path().join("o/mine.txt"), "kept").unwrap();
    let said = wrong(folder.path(), &["run", "saliency", "--out", "o"], 2);
    let parts =
        ["\"o\" has the result of \"gradcam\" on \"made:welcome[0]\"", "files, 20", "--force replaces it", "new name"];
    assert_says(&said, &parts);
    ran(folder.path(), &["run", "gradcam", "--out", "o"]);
    ran(folder.path(), &["run", "saliency", "--out", "o", "--force"]);
    let names = files(&folder.path().join("o"));
    assert!(names.iter().all(|name| !name.contains("cam")), "{names:?}");
    assert!(names.iter().any(|name| name.ends_with("saliency.npy")) && folder.path().join("o/mine.txt").is_file());
    ran(folder.path(), &["run", "saliency", "--out", "o"]);
}

#[test]
fn a_folder_without_results_is_used_and_its_files_are_kept() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("o")).unwrap();
    fs::write(folder.path().join("o/logits.txt"), "mine").unwrap();
    ran(folder.path(), &["run", "saliency", "--out", "o"]);
    assert!(folder.path().join("o/logits.txt").is_file());
}

#[test]
fn results_of_several_pictures_are_protected_and_replaced_together() {
    let folder = TempDir::new().unwrap();
    ran(folder.path(), &["run", "saliency", "-i", "made:shapes[0]", "-i", "made:shapes[1]", "--out", "o"]);
    assert_says(&wrong(folder.path(), &["run", "gradcam", "--out", "o"], 2), &["\"o\" has the result of \"saliency\""]);
    ran(folder.path(), &["run", "gradcam", "--out", "o", "--force"]);
    let all: Vec<_> = files(&folder.path().join("o"));
    assert!(all.iter().all(|path| !Path::new(path).join("result.json").exists()), "{all:?}");
    assert!(folder.path().join("o/cam.npy").is_file());
}

#[test]
fn an_interrupted_run_needs_resume_or_force() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("o")).unwrap();
    fs::write(folder.path().join("o/state.safetensors"), "half").unwrap();
    let said = wrong(folder.path(), &["run", "pgd", "--steps", "1", "--out", "o"], 2);
    assert_says(&said, &["\"o\" has an interrupted run", "--resume continues it", "--force starts over"]);
    ran(folder.path(), &["run", "pgd", "--steps", "1", "--out", "o", "--force"]);
    assert!(!folder.path().join("o/state.safetensors").exists());
}
