//! File names for exported figures.

use std::collections::BTreeSet;

/// The names of the files to which a figure was exported.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::script) struct Files {
    /// Names of files for viewing: a picture or a text file.
    pub shown: Vec<String>,
    /// Names of files with raw values.
    pub raw: Vec<String>,
    /// Names of any other files.
    pub other: Vec<String>,
}

/// The file names used so far in a folder.
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// Creates a set that contains only the name `taken`.
    pub fn without(taken: &str) -> Self {
        Self(BTreeSet::from([taken.into()]))
    }

    /// Converts a figure's title to a file name stem, with a number appended if an earlier figure used the same stem.
    pub fn next(&mut self, title: &str) -> String {
        let title = plain(title);
        let other = (2..).map(|n| format!("{title}-{n}"));
        let unique = std::iter::once(title.clone()).chain(other).find(|t| !self.0.contains(t)).unwrap_or(title);
        self.0.insert(unique.clone());
        unique
    }
}

/// Converts a title to a file name stem: characters other than letters, digits and `-_+.` become `_`.
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
        let mut names = Names::without("logits");
        let named = ["../a b", "map", "map", "", "logits"].map(|title| names.next(title));
        assert_eq!(named, ["_a_b", "map", "map-2", "figure", "logits-2"]);
    }
}
