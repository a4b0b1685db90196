//! Finds model files: graphs and weights.

use super::find_files;
use crate::script::architecture::open_model::{is_graph_file, is_weight_file};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Maximum depth of the subfolders of the working directory to search.
const DEPTH: usize = 3;

/// Finds model files in the working directory and its subfolders, and in recently used folders. Returns the path and size in
/// bytes of each.
pub fn find(recent: &[PathBuf]) -> Vec<(String, u64)> {
    let folders = std::iter::once((Path::new("."), DEPTH)).chain(recent.iter().map(|folder| (folder.as_path(), 0)));
    let found = find_files::find(folders, |name| is_graph_file(name) || is_weight_file(name));
    let mut known = HashSet::new();
    let file = |path: PathBuf| {
        let facts = path.metadata().ok().filter(|facts| facts.is_file())?;
        let new = known.insert(path.canonicalize().ok()?);
        new.then(|| Some((path.to_str()?.to_owned(), facts.len()))).flatten()
    };
    found.into_iter().filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_recent_folders_are_found_once_with_their_sizes() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        for name in ["b.pth", "a.onnx", "c.pt2", "notes.txt", ".hidden.pt", "sub/d.pt"] {
            std::fs::write(folder.path().join(name), "12345").unwrap();
        }
        let found = find(&[folder.path().to_owned(), folder.path().join("sub/.."), "/there is none".into()]);
        let here = |(path, bytes): &(String, u64)| {
            let inside = Path::new(path).strip_prefix(folder.path()).ok()?;
            Some((inside.to_str()?.to_owned(), *bytes))
        };
        let here: Vec<_> = found.iter().filter_map(here).collect();
        assert_eq!(here, [("a.onnx".into(), 5), ("b.pth".into(), 5), ("c.pt2".into(), 5)]);
    }
}
