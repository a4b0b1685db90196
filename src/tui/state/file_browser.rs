//! The state of the file browser: the rows of one folder, filtered by typing, and what the row under the cursor is.

use super::fuzzy::Fuzzy;
use super::list_cursor::ListCursor;
use crate::tui::files::{FileAbout, FileGoal, FileRow, FileRowKind, Folder};
use std::cmp::Reverse;
use std::path::{Path, PathBuf};

/// The file browser, open over the panels.
#[derive(Clone, Debug, PartialEq)]
pub struct FileBrowser {
    /// What a file is chosen for.
    pub goal: FileGoal,
    /// The open folder; while it is being read, the requested one.
    pub folder: PathBuf,
    /// The rows of the folder.
    pub rows: Vec<FileRow>,
    /// Number of entries of the folder that are not listed.
    pub left_out: usize,
    /// Whether the folder is still being read.
    pub reading: bool,
    /// Why the folder could not be read, if it could not.
    pub wrong: Option<String>,
    /// The query typed so far; `None` while letters move the cursor.
    pub query: Option<String>,
    /// Indices of the rows that match the query.
    pub hits: Vec<usize>,
    /// The cursor among the matching rows.
    pub list: ListCursor,
    /// The row under the cursor and, once read, what it is.
    pub about: Option<(String, Option<FileAbout>)>,
    /// The path of the row to go to once the folder has been read.
    from: Option<String>,
}

impl FileBrowser {
    /// A file browser that waits for a folder to be read.
    pub fn new(goal: FileGoal, folder: PathBuf) -> Self {
        Self {
            goal,
            folder,
            rows: Vec::new(),
            left_out: 0,
            reading: true,
            wrong: None,
            query: None,
            hits: Vec::new(),
            list: ListCursor::default(),
            about: None,
            from: None,
        }
    }

    /// Goes to another folder, which must then be read. If it is the parent of the open one, the cursor goes to where it came from.
    pub fn go_to(&mut self, folder: PathBuf) {
        let left = self.folder.to_str().map(str::to_owned).filter(|_| self.folder.parent() == Some(&*folder));
        *self = Self { from: left, ..Self::new(self.goal.clone(), folder) };
    }

    /// The folder that contains the open one, if any.
    pub fn parent(&self) -> Option<PathBuf> {
        self.rows.iter().find(|row| row.kind == FileRowKind::Parent).map(|row| PathBuf::from(&row.value))
    }

    /// Shows a folder that was read. The cursor goes to the folder that was left, or else to the first row that can be chosen.
    pub fn show(&mut self, folder: Folder) {
        (self.folder, self.rows, self.left_out) = (folder.path, folder.rows, folder.left_out);
        (self.wrong, self.reading) = (folder.wrong, false);
        self.narrow();
        let from = self.from.take();
        let left = from.and_then(|from| self.hits.iter().position(|at| self.rows[*at].value == from));
        self.list.go(left.unwrap_or_else(|| if self.query.is_none() { self.first() } else { 0 }));
    }

    /// The first row besides those for the parent and, unless it fits, the folder as a whole.
    fn first(&self) -> usize {
        let own = |row: &FileRow| row.kind == FileRowKind::Parent || (row.kind == FileRowKind::Whole && !row.fits);
        self.rows.iter().position(|row| !own(row)).unwrap_or(0)
    }

    /// The row under the cursor; `None` if no row matches.
    pub fn chosen(&self) -> Option<&FileRow> {
        self.hits.get(self.list.cursor).and_then(|at| self.rows.get(*at))
    }

    /// The text typed so far.
    pub fn typed(&self) -> &str {
        self.query.as_deref().unwrap_or("")
    }

    /// Adds text to the query.
    pub fn push(&mut self, text: &str) {
        let text = text.chars().filter(|letter| !letter.is_control());
        self.query.get_or_insert_default().extend(text);
        self.narrow();
    }

    /// Deletes the last character of the query. Returns false if there is no query.
    pub fn backspace(&mut self) -> bool {
        let Some(query) = &mut self.query else { return false };
        if query.pop().is_none() || query.is_empty() {
            self.query = None;
        }
        self.narrow();
        true
    }

    /// Begins typing, so that all letters belong to the query.
    pub fn type_letters(&mut self) {
        self.query.get_or_insert_default();
    }

    fn narrow(&mut self) {
        let query = self.typed().to_owned();
        self.list = ListCursor::default();
        if query.is_empty() {
            self.hits =
                (0..self.rows.len()).filter(|at| !self.rows[*at].name.starts_with('.') || self.own(*at)).collect();
            self.list.go(self.first());
            return;
        }
        let mut fuzzy = Fuzzy::new(&query);
        let hidden = query.starts_with('.');
        let shown = |row: &FileRow| hidden || !row.name.starts_with('.');
        let scored = self.rows.iter().enumerate().filter(|(at, row)| !self.own(*at) && shown(row));
        // Suitable files stay before the others.
        let order = |row: &FileRow| row.kind == FileRowKind::File && !row.fits;
        let mut hits: Vec<_> =
            scored.filter_map(|(at, row)| Some(((order(row), Reverse(fuzzy.score(&row.name)?)), at))).collect();
        hits.sort();
        self.hits = hits.into_iter().map(|(_, at)| at).collect();
    }

    /// Whether a row is the open folder or its parent.
    fn own(&self, at: usize) -> bool {
        matches!(self.rows[at].kind, FileRowKind::Parent | FileRowKind::Whole)
    }

    /// Whether what is typed is a path or a specification rather than a query: no row matches it.
    pub fn typed_path(&self) -> Option<&Path> {
        let typed = Some(self.typed()).filter(|typed| !typed.is_empty() && self.hits.is_empty() && !self.reading);
        typed.map(Path::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, kind: FileRowKind, fits: bool) -> FileRow {
        FileRow { value: format!("/a/{name}"), name: name.into(), kind, fits, bytes: 0 }
    }

    fn browser() -> FileBrowser {
        let mut browser = FileBrowser::new(FileGoal::Weights, "/a".into());
        let rows = vec![
            FileRow { value: "/".into(), ..row("../", FileRowKind::Parent, false) },
            row("lenet.pth", FileRowKind::File, true),
            row("runs/", FileRowKind::Folder, false),
            row(".cache/", FileRowKind::Folder, false),
            row("l.txt", FileRowKind::File, false),
        ];
        browser.show(Folder { path: "/a".into(), rows, left_out: 0, wrong: None });
        browser
    }

    fn names(browser: &FileBrowser) -> Vec<&str> {
        browser.hits.iter().map(|at| browser.rows[*at].name.as_str()).collect()
    }

    #[test]
    fn suitable_files_stay_first_while_typing_and_hidden_ones_need_a_dot() {
        let mut browser = browser();
        assert_eq!(names(&browser), ["../", "lenet.pth", "runs/", "l.txt"]);
        assert_eq!(browser.chosen().unwrap().name, "lenet.pth", "the cursor starts on the first row to choose");
        browser.push("l");
        assert_eq!(names(&browser), ["lenet.pth", "l.txt"], "a shorter name does not come before a suitable one");
        assert!(browser.backspace() && browser.query.is_none());
        browser.push(".ca");
        assert_eq!(names(&browser), [".cache/"]);
    }

    #[test]
    fn what_matches_no_row_is_a_path() {
        let mut browser = browser();
        browser.push("/b/c.pth");
        assert_eq!(browser.typed_path(), Some(Path::new("/b/c.pth")));
        browser.push("\u{1b}\n");
        assert_eq!(browser.typed(), "/b/c.pth");
        while browser.backspace() {}
        assert!(browser.typed_path().is_none() && browser.query.is_none());
    }

    #[test]
    fn leaving_a_folder_puts_the_cursor_on_it() {
        let mut browser = browser();
        let rows = browser.rows.clone();
        browser.go_to("/a/runs".into());
        browser.show(Folder { path: "/a/runs".into(), rows: vec![], left_out: 0, wrong: None });
        assert!(browser.chosen().is_none());
        browser.go_to("/a".into());
        let value = |row: FileRow| FileRow { value: row.value.trim_end_matches('/').into(), ..row };
        let rows = rows.into_iter().map(value).collect();
        browser.show(Folder { path: "/a".into(), rows, left_out: 0, wrong: None });
        assert_eq!(browser.chosen().unwrap().name, "runs/");
    }
}
