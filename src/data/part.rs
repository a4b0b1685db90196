//! The part of a data set that a text names: `DIR#train` or `DIR#test`.

use std::path::Path;

/// The path before `#train` or `#test`, and whether it was `#train`.
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
    fn only_the_names_of_splits_are_taken_off_a_path() {
        assert_eq!(split("a#train"), (Path::new("a"), true));
        assert_eq!(split("a#test"), (Path::new("a"), false));
        assert_eq!(split("a#b"), (Path::new("a#b"), false));
        assert_eq!(split("a#b#train"), (Path::new("a#b"), true));
    }
}
