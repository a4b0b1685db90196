//! Folders of recently opened files, stored in a small text file with one path per line.

use super::{create_folder, read_text, write_whole};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Maximum number of folders.
const MOST: usize = 12;
/// Maximum size of the file and maximum length of a path in it, in bytes.
const BYTES: (u64, usize) = (64 << 10, 4096);

/// The folders, most recent first.
#[derive(Clone, Debug, Default)]
pub struct RecentFolders {
    file: Option<PathBuf>,
    folders: Vec<PathBuf>,
}

impl RecentFolders {
    /// Reads the folders from a file. If it is missing or damaged, the list starts empty. If `file` is `None`, the list starts empty
    /// and is not saved.
    pub fn read(file: Option<PathBuf>) -> Self {
        let folders = file.as_deref().map(saved).unwrap_or_default();
        Self { file, folders }
    }

    /// The folders, most recent first.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Adds a folder, or moves it to the front, and writes the file atomically. Folders added by other processes in the meantime
    /// are kept. A path with control characters or more than 4,096 bytes is not stored.
    pub fn add(&mut self, folder: &Path) -> Result<()> {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.into());
        let fits = |text: &str| text.len() <= BYTES.1 && !text.chars().any(char::is_control);
        if !folder.to_str().is_some_and(fits) || self.folders.first() == Some(&folder) {
            return Ok(());
        }
        let known = self.file.as_deref().map_or_else(|| self.folders.clone(), saved);
        self.folders = std::iter::once(folder.clone()).chain(known.into_iter().filter(|f| *f != folder)).collect();
        self.folders.truncate(MOST);
        let Some(file) = &self.file else { return Ok(()) };
        file.parent().map_or(Ok(()), create_folder)?;
        let lines = self.folders.iter().filter_map(|folder| Some(format!("{}\n", folder.to_str()?)));
        write_whole(file, lines.collect::<String>().as_bytes())
    }
}

/// The folders in a file; none if it cannot be read.
fn saved(file: &Path) -> Vec<PathBuf> {
    let text = if file.exists() { read_text(file, BYTES.0).unwrap_or_default() } else { String::new() };
    text.lines().filter(|line| !line.is_empty() && line.len() <= BYTES.1).take(MOST).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(recent: &RecentFolders) -> Vec<&str> {
        recent.folders().iter().filter_map(|folder| folder.to_str()).collect()
    }

    #[test]
    fn the_latest_folders_come_first_and_survive_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let file = Some(folder.path().join("state/recent_folders.txt"));
        let mut recent = RecentFolders::read(file.clone());
        for name in ["/a", "/b c", "/a"] {
            recent.add(Path::new(name)).unwrap();
        }
        assert_eq!(names(&recent), ["/a", "/b c"]);
        let mut other = RecentFolders::read(file.clone());
        other.add(Path::new("/d")).unwrap();
        recent.add(Path::new("/e")).unwrap();
        assert_eq!(names(&recent), ["/e", "/d", "/a", "/b c"], "those of another process stay");
        (0..30).for_each(|i| recent.add(Path::new(&format!("/{i}"))).unwrap());
        let again = RecentFolders::read(file);
        assert_eq!((again.folders().len(), names(&again)[0]), (MOST, "/29"));
    }

    #[test]
    fn a_damaged_file_and_paths_with_line_breaks_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("recent_folders.txt");
        std::fs::write(&file, [0xFF, 0xFE, b'\n']).unwrap();
        let mut recent = RecentFolders::read(Some(file));
        assert!(recent.folders().is_empty());
        recent.add(Path::new("/a\nb")).unwrap();
        assert!(recent.folders().is_empty());
        let mut unsaved = RecentFolders::default();
        unsaved.add(Path::new("/a")).unwrap();
        assert_eq!(names(&unsaved), ["/a"]);
    }
}
