//! File names of figures.

use std::collections::BTreeSet;

/// The names of one figure's files.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::script) struct Files {
    /// For viewing: a picture or text.
    pub shown: Vec<String>,
    /// For other programs, raw values first.
    pub raw: Vec<String>,
}

/// The names used so far.
#[derive(Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// A figure's title as part of file names, numbered if it was used before.
    pub fn next(&mut self, title: &str) -> String {
        let title = plain(title);
        let other = (2..).map(|n| format!("{title}-{n}"));
        let unique = std::iter::once(title.clone()).chain(other).find(|t| !self.0.contains(t)).unwrap_or(title);
        self.0.insert(unique.clone());
        unique
    }
}

/// A title as part of a file name.
fn plain(title: &str) -> String {
    let letter = |c: char| if c.is_alphanumeric() || "-_+.".contains(c) { c } else { '_' };
    let name: String = title.chars().take(80).map(letter).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "figure".into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_become_unique_file_names_inside_the_folder() {
        let mut names = Names::default();
        let named = ["../a b", "map", "map", ""].map(|title| names.next(title));
        assert_eq!(named, ["_a_b", "map", "map-2", "figure"]);
    }
}
