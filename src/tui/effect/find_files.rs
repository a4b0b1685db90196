//! Finds files by name in folders and subfolders.

use std::path::{Path, PathBuf};

/// Maximum number of files to list and directory entries to read.
const MOST: (usize, usize) = (2000, 20_000);

/// Finds files whose names match `fits`, in folders and their subfolders up to the given depths, outer folders first. Skips
/// hidden files and folders, and `target`.
pub fn find<'a>(folders: impl IntoIterator<Item = (&'a Path, usize)>, fits: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut looked = 0;
    let mut waiting: Vec<(PathBuf, usize)> =
        folders.into_iter().map(|(folder, depth)| (folder.into(), depth)).collect();
    while !waiting.is_empty() && found.len() < MOST.0 && looked < MOST.1 {
        let (folder, depth) = waiting.remove(0);
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let mut entries: Vec<PathBuf> = entries.flatten().map(|e| e.path()).take(MOST.1 - looked).collect();
        entries.sort();
        looked += entries.len();
        for path in entries {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') || path.to_str().is_none() {
                continue;
            } else if fits(&name) {
                found.push(path.strip_prefix("./").unwrap_or(&path).into());
            } else if depth > 0 && path.is_dir() && name != "target" {
                waiting.push((path, depth - 1));
            }
        }
    }
    found.truncate(MOST.0);
    found
}
