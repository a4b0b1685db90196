//! Reads a folder: suitable files first, then folders, then all other files.

use super::goal::FileGoal;
use crate::data::formats::folder::is_picture;
use crate::data::{source, synthetic};
use crate::words;
use std::path::{Path, PathBuf};

/// Maximum number of entries to list.
const MOST: usize = 5000;

/// Number of subfolders, and of entries of each, that are looked at to find out whether a folder is a data set.
const FIRST: usize = 4;
const FEW: usize = 1000;

/// A folder that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Absolute path of the folder.
    pub path: PathBuf,
    /// The rows to list.
    pub rows: Vec<FileRow>,
    /// Number of entries that are not listed, because there are too many or their names are not valid UTF-8.
    pub left_out: usize,
    /// Why the folder could not be read, if it could not.
    pub wrong: Option<String>,
}

/// A row of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// The path or the name with which the row is opened.
    pub value: String,
    /// The displayed name.
    pub name: String,
    /// What the row is.
    pub kind: FileRowKind,
    /// Whether the name is that of a suitable file.
    pub fits: bool,
    /// Size of the file in bytes.
    pub bytes: u64,
}

/// What a row of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileRowKind {
    /// The folder that contains the listed one.
    Parent,
    /// The listed folder itself, which is chosen as a whole.
    Whole,
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A data set that is drawn by the program.
    Drawn,
}

/// Reads a folder for a goal. An unreadable folder has no rows except its parent.
pub fn read(goal: &FileGoal, folder: &Path) -> Folder {
    let path = std::path::absolute(folder).unwrap_or_else(|_| folder.into());
    // A link to a folder is left to where the link is, not to where it points.
    let path = if path.components().any(|part| part == std::path::Component::ParentDir) {
        path.canonicalize().unwrap_or(path)
    } else {
        path
    };
    let mut rows = vec![];
    if let Some(parent) = path.parent().and_then(Path::to_str) {
        rows.push(row(parent, "../", FileRowKind::Parent));
    }
    let found = match std::fs::read_dir(&path) {
        Ok(found) => found,
        Err(error) => {
            let wrong = format!("cannot read \"{}\": {error}", words::path(&path));
            return Folder { path, rows, left_out: 0, wrong: Some(wrong) };
        }
    };
    let (mut left_out, before) = (0, rows.len());
    for entry in found.flatten() {
        match listed(goal, &entry.path()).filter(|_| rows.len() < before + MOST) {
            Some(row) => rows.push(row),
            None => left_out += 1,
        }
    }
    if *goal == FileGoal::Data {
        let fits = is_data_set(&path, &rows);
        rows.extend(path.to_str().map(|whole| FileRow { fits, ..row(whole, "./", FileRowKind::Whole) }));
        let drawn = synthetic::NAMES.map(|name| format!("made:{name}"));
        rows.extend(drawn.map(|name| FileRow { fits: true, ..row(&name, &name, FileRowKind::Drawn) }));
    }
    let rank = |row: &FileRow| (row.kind == FileRowKind::File && !row.fits, row.kind);
    rows.sort_by_cached_key(|row| (rank(row), row.name.to_lowercase()));
    Folder { path, rows, left_out, wrong: None }
}

/// Whether a folder with these rows seems to be a data set as a whole: it is in a known format, or there are pictures in it or in each
/// of its first subfolders.
fn is_data_set(path: &Path, rows: &[FileRow]) -> bool {
    let is_folder = |row: &&FileRow| row.kind == FileRowKind::Folder && !row.name.starts_with('.');
    let mut folders = rows.iter().filter(is_folder).take(FIRST).map(|row| Path::new(&row.value)).peekable();
    let holds_picture = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.take(FEW).any(|entry| is_picture(&entry.path()))
    };
    let in_known_format = source::looks_like(path).is_some_and(|format| format != "folder");
    let pictures = rows.iter().any(|row| row.kind == FileRowKind::File && is_picture(Path::new(&row.value)));
    in_known_format || pictures || (folders.peek().is_some() && folders.all(holds_picture))
}

fn row(value: &str, name: &str, kind: FileRowKind) -> FileRow {
    FileRow { value: value.into(), name: name.into(), kind, fits: false, bytes: 0 }
}

/// The row of an entry; `None` if its name is not valid UTF-8.
fn listed(goal: &FileGoal, path: &Path) -> Option<FileRow> {
    let (value, name) = (path.to_str()?, path.file_name()?.to_str()?);
    // A link that leads nowhere is listed as a file.
    let facts = std::fs::metadata(path).ok();
    if facts.as_ref().is_some_and(std::fs::Metadata::is_dir) {
        return Some(row(value, &format!("{name}/"), FileRowKind::Folder));
    }
    let file = facts.as_ref().is_some_and(std::fs::Metadata::is_file);
    let bytes = facts.map_or(0, |facts| facts.len());
    Some(FileRow { fits: file && goal.fits(path), bytes, ..row(value, name, FileRowKind::File) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Folder) -> Vec<&str> {
        folder.rows.iter().map(|row| row.name.as_str()).collect()
    }

    #[test]
    fn suitable_files_come_first_then_folders_then_other_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("aaa")).unwrap();
        for name in ["b.pth", "A.onnx", "notes.txt", "cat.png", "x.npy"] {
            std::fs::write(folder.path().join(name), "12345").unwrap();
        }
        let of = |goal| read(&goal, folder.path());
        assert_eq!(names(&of(FileGoal::Weights)), ["../", "A.onnx", "b.pth", "aaa/", "cat.png", "notes.txt", "x.npy"]);
        assert_eq!(names(&of(FileGoal::Array("given".into())))[..3], ["../", "x.npy", "aaa/"]);
        assert_eq!(of(FileGoal::Picture).rows[1].bytes, 5);
        let data = of(FileGoal::Data);
        assert!(data.rows[1].fits, "a folder with a picture may be a data set");
        for name in ["cat.png", "x.npy"] {
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
        assert!(!of(FileGoal::Data).rows[1].fits);
        std::fs::write(folder.path().join("aaa/cat.png"), "").unwrap();
        assert!(of(FileGoal::Data).rows[1].fits, "and so may one whose subfolders hold pictures");
        let data = of(FileGoal::Data);
        assert_eq!(names(&data)[..4], ["../", "./", "aaa/", "made:digits"]);
        assert!(data.rows.iter().filter(|row| row.name.ends_with(".txt")).all(|row| !row.fits));
    }

    #[test]
    fn a_folder_that_cannot_be_read_says_why_and_can_be_left() {
        let folder = tempfile::tempdir().unwrap();
        let found = read(&FileGoal::Weights, &folder.path().join("absent"));
        assert_eq!(names(&found), ["../"]);
        assert!(found.wrong.unwrap().contains("absent"));
        let root = read(&FileGoal::Weights, Path::new("/"));
        assert!(root.rows.iter().all(|row| row.kind != FileRowKind::Parent), "there is nothing above the root");
    }

    #[cfg(unix)]
    #[test]
    fn links_to_nowhere_are_listed_and_names_that_are_not_text_are_counted() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("a.pth")).unwrap();
        std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xff.pth")), "").unwrap();
        let found = read(&FileGoal::Weights, folder.path());
        assert_eq!((names(&found), found.left_out), (vec!["../", "a.pth"], 1));
        assert!(!found.rows[1].fits);
    }
}
