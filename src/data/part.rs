//! Parses the split of a data set specification: `DIR#train` or `DIR#test`.

use std::path::Path;

/// Splits a specification into the path before `#train` or `#test` and whether the split is `#train`.
pub(super) fn split(text: &str) -> (&Path, bool) {
    match text.rsplit_once('#') {
        Some((path, "train")) => (Path::new(path), true),
        Some((path, "test")) => (Path::new(path), false),
        _ => (Path::new(text), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_split_names_are_stripped_from_a_path() {
        assert_eq!(split("a#train"), (Path::new("a"), true));
        assert_eq!(split("a#test"), (Path::new("a"), false));
        assert_eq!(split("a#b"), (Path::new("a#b"), false));
        assert_eq!(split("a#b#train"), (Path::new("a#b"), true));
    }
}
