//! A folder of scripts whose sub-folders are groups: `attack/fgsm.rhai` is the script `fgsm` of the group `attack`.
//!
//! Groups are one level deep, so a link that leads back up ends there. Hidden folders and files (an editor's) and `lib`, whose
//! scripts are imported by their paths, are left out.

use crate::words;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// The folder of libraries.
const LIBRARIES: &str = "lib";

/// The group that a folder of this name holds, `data set` for `data_set`; none: a hidden folder, or that of the libraries.
pub(super) fn group(folder: &str) -> Option<String> {
    (!folder.starts_with('.') && folder != LIBRARIES).then(|| folder.replace('_', " "))
}

/// The name of the script in this file; none: a file of another kind, or a hidden one.
pub fn script_name(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_string_lossy();
    (path.extension()? == "rhai" && !name.starts_with('.')).then(|| name.into_owned())
}

/// The groups' folders in `root`, sorted.
pub(super) fn folders(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let named = entries.filter(|e| group(&e.file_name().to_string_lossy()).is_some());
    // Links are followed; of files nothing more is asked.
    let is_folder =
        |e: &std::fs::DirEntry| e.file_type().is_ok_and(|t| t.is_dir() || (t.is_symlink() && e.path().is_dir()));
    let mut folders: Vec<_> = named.filter(is_folder).map(|e| e.path()).collect();
    folders.sort();
    folders
}

/// The names of the scripts in one folder, its sub-folders left out.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|f| script_name(&f.path())).collect()
}

/// The script of this name in `root` or one of its groups; a path such as `lib/attack` begins at `root`.
///
/// Errors: two files have the name.
pub fn file(root: &Path, name: &str) -> Result<Option<PathBuf>> {
    let file = format!("{name}.rhai");
    let groups = if name.contains('/') { vec![] } else { folders(root) };
    let places = std::iter::once(root.to_path_buf()).chain(groups);
    let mut found = places.map(|folder| folder.join(&file)).filter(|path| path.is_file());
    let Some(first) = found.next() else { return Ok(None) };
    match found.find(|other| !is_same(&first, other)) {
        Some(other) => bail!(
            "two scripts are named \"{}\": \"{}\" and \"{}\"; rename or remove one of them",
            words::name(name),
            words::path(&first),
            words::path(&other)
        ),
        None => Ok(Some(first)),
    }
}

/// Whether two paths lead to one file.
fn is_same(a: &Path, b: &Path) -> bool {
    a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b)
}
