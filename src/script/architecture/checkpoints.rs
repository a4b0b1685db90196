//! The checkpoints that a training wrote: files of weights or graphs in a folder.

use super::open_model::{is_graph_file, is_weight_file};
use crate::words;
use alphanumeric_sort::compare_str;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use wildmatch::WildMatch;

/// The model files in a folder, or those whose names match a pattern such as `runs/epoch-*.pth`. They are sorted by name, numbers in names
/// by their values: `epoch-9` comes before `epoch-10`.
///
/// Errors if the folder cannot be read.
pub fn checkpoints(runs: &Path) -> Result<Vec<PathBuf>> {
    let (folder, pattern) = split(runs);
    let reading = || format!("reading the folder \"{}\"", words::path(&folder));
    let mut files = vec![];
    for entry in fs::read_dir(&folder).with_context(reading)? {
        let name = entry.with_context(reading)?.file_name().to_string_lossy().into_owned();
        let path = folder.join(&name);
        let model = (is_weight_file(&name) || is_graph_file(&name)) && !name.starts_with('.') && path.is_file();
        if model && pattern.as_ref().is_none_or(|pattern| pattern.matches(&name)) {
            files.push((name, path));
        }
    }
    files.sort_by(|(a, _), (b, _)| compare_str(a, b).then_with(|| a.cmp(b)));
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

/// Like [`checkpoints`]; errors if there are fewer than `least`.
pub fn at_least(runs: &Path, least: usize) -> Result<Vec<PathBuf>> {
    let files = checkpoints(runs)?;
    let (runs, count) = (words::path(&runs), files.len());
    ensure!(
        count >= least,
        "\"{runs}\" has {count} model files (.safetensors, .pth, .pt, .pt2, .onnx, …); at least {least} are needed"
    );
    Ok(files)
}

/// The folder, and the pattern of names if the last part is not a folder.
fn split(runs: &Path) -> (PathBuf, Option<WildMatch>) {
    if runs.is_dir() {
        return (runs.into(), None);
    }
    let Some(name) = runs.file_name().map(|name| name.to_string_lossy()).filter(|name| name.contains(['*', '?']))
    else {
        return (runs.into(), None);
    };
    let folder = runs.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    (folder.into(), Some(WildMatch::new(&name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_files_come_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["epoch-10.pth", "epoch-9.pth", "epoch-1.pth", "last.pth", "log.txt", ".epoch-2.pth", "epoch-3.pth.tmp"]
        {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        fs::create_dir(folder.path().join("folder.pth")).unwrap();
        let names = |runs: &Path| -> Vec<_> {
            let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
            checkpoints(runs).unwrap().iter().map(name).collect()
        };
        assert_eq!(names(folder.path()), ["epoch-1.pth", "epoch-9.pth", "epoch-10.pth", "last.pth"]);
        assert_eq!(names(&folder.path().join("epoch-*")), ["epoch-1.pth", "epoch-9.pth", "epoch-10.pth"]);
        let few = at_least(&folder.path().join("last*"), 2).unwrap_err().to_string();
        assert!(few.contains("has 1 model files"), "{few}");
        assert!(checkpoints(&folder.path().join("absent")).unwrap_err().to_string().contains("absent"));
    }
}
