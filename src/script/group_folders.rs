//! Folders of scripts in which each subfolder is a group: `attack/fgsm.rhai` is the script `fgsm` in the group `attack`.
//!
//! Groups are one level deep, so symlink cycles are harmless. Hidden files and folders (such as those of editors) are skipped,
//! and so is `lib`, whose scripts are imported by path.

use crate::words;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Name of the library folder.
const LIBRARIES: &str = "lib";

/// The group of a folder, such as `data set` for the folder `data_set`. `None` for hidden folders and `lib`.
pub(super) fn group(folder: &str) -> Option<String> {
    (!folder.starts_with('.') && folder != LIBRARIES).then(|| folder.replace('_', " "))
}

/// The name of the script in a file, without `.rhai`; `None` if the file is hidden or not a script.
pub fn script_name(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_string_lossy();
    (path.extension()? == "rhai" && !name.starts_with('.')).then(|| name.into_owned())
}

/// The sorted paths of the subfolders of `root` that are groups.
pub(super) fn folders(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let named = entries.filter(|e| group(&e.file_name().to_string_lossy()).is_some());
    // Symlinks to folders are followed.
    let is_folder =
        |e: &std::fs::DirEntry| e.file_type().is_ok_and(|t| t.is_dir() || (t.is_symlink() && e.path().is_dir()));
    let mut folders: Vec<_> = named.filter(is_folder).map(|e| e.path()).collect();
    folders.sort();
    folders
}

/// The names of the scripts directly inside a folder.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|f| script_name(&f.path())).collect()
}

/// The file of the script `name` in `root` or one of its groups, if any. A name with a folder, such as `lib/attack`, is relative
/// to `root`.
///
/// Errors if two different files match the name.
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

/// Whether two paths refer to the same file.
fn is_same(a: &Path, b: &Path) -> bool {
    a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b)
}
