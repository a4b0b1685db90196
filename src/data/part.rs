//! Splits of data sets: the suffixes `#train`, `#val` and `#test` of specifications, and splits inferred from file names.

use anyhow::{Result, bail};
use std::path::Path;

/// A split of a data set, as defined by its authors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// The pictures for training: `#train`.
    Train,
    /// The pictures for choosing hyperparameters: `#val`.
    Validation,
    /// The pictures for measuring accuracy: `#test`.
    Test,
}

/// The splits to use if a specification selects none, in order of preference. The training split is the last resort.
const DEFAULT: [Option<Split>; 4] = [Some(Split::Test), Some(Split::Validation), None, Some(Split::Train)];

impl Split {
    /// The suffix that selects the split.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Train => "#train",
            Self::Validation => "#val",
            Self::Test => "#test",
        }
    }

    /// The split indicated by a name: `train-00000-of-00001.parquet`, `imagenet1k-validation-00.tar`, `x_test`.
    pub fn of_name(name: &str) -> Option<Self> {
        name.to_lowercase().split(|c: char| !c.is_alphabetic()).find_map(|word| match word {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" | "dev" => Some(Self::Validation),
            "test" | "testing" | "eval" => Some(Self::Test),
            _ => None,
        })
    }

    /// The split indicated by the name of a file or, failing that, of its folder.
    pub fn of_path(path: &Path) -> Option<Self> {
        let name = |path: &Path| Self::of_name(&path.file_name()?.to_string_lossy());
        name(path).or_else(|| name(path.parent()?))
    }
}

/// Splits a specification into its path and the selected split. The path of an existing file or folder is never split.
pub(super) fn split(text: &str) -> (&Path, Option<Split>) {
    let whole = (Path::new(text), None);
    let Some((path, name)) = text.rsplit_once('#').filter(|_| !Path::new(text).exists()) else { return whole };
    let all = [Split::Train, Split::Validation, Split::Test];
    let named = all.into_iter().find(|split| split.suffix()[1..] == *name);
    named.map_or(whole, |split| (Path::new(path), Some(split)))
}

/// Selects those of `parts` that belong to `split`, as determined by `of`. If `split` is `None`, selects the first of these that
/// exists: the test split, the validation split, the parts without a split, the training split.
///
/// Errors if no part belongs to `split`.
pub(super) fn choose<T>(parts: Vec<T>, split: Option<Split>, of: impl Fn(&T) -> Option<Split>) -> Result<Vec<T>> {
    let there = |split: &Option<Split>| parts.iter().any(|part| of(part) == *split);
    let chosen = match split {
        Some(split) if there(&Some(split)) => Some(split),
        Some(split) => {
            let splits: Vec<_> = DEFAULT.iter().filter(|s| there(s)).flatten().map(|s| s.suffix()).collect();
            let known = if splits.is_empty() {
                "it has no splits, so omit the suffix".into()
            } else {
                format!("it has {}", splits.join(" and "))
            };
            bail!("the data set has no split {}; {known}", split.suffix())
        }
        None => DEFAULT.into_iter().find(there).flatten(),
    };
    Ok(parts.into_iter().filter(|part| of(part) == chosen).collect())
}

/// Whether there is a training split and at least one other.
pub(super) fn has_training<T>(parts: &[T], of: impl Fn(&T) -> Option<Split>) -> bool {
    let there = |wanted: &[Split]| parts.iter().any(|part| of(part).is_some_and(|split| wanted.contains(&split)));
    there(&[Split::Train]) && there(&[Split::Test, Split::Validation])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_split_names_are_stripped_from_a_path() {
        assert_eq!(split("a#train"), (Path::new("a"), Some(Split::Train)));
        assert_eq!(split("a#test"), (Path::new("a"), Some(Split::Test)));
        assert_eq!(split("a#val"), (Path::new("a"), Some(Split::Validation)));
        assert_eq!(split("a#b"), (Path::new("a#b"), None));
        assert_eq!(split("a#b#train"), (Path::new("a#b"), Some(Split::Train)));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("photos#train");
        std::fs::create_dir(&path).unwrap();
        assert_eq!(split(path.to_str().unwrap()), (path.as_path(), None));
    }

    #[test]
    fn names_tell_splits_by_whole_words() {
        for (name, split) in [
            ("train-00000-of-00001.parquet", Some(Split::Train)),
            ("imagenet1k-validation-00.tar", Some(Split::Validation)),
            ("x_test", Some(Split::Test)),
            ("VAL", Some(Split::Validation)),
            ("trains", None),
            ("0000", None),
        ] {
            assert_eq!(Split::of_name(name), split, "{name}");
        }
        assert_eq!(Split::of_path(Path::new("default/train/0000.parquet")), Some(Split::Train));
    }

    #[test]
    fn the_test_split_is_the_default_and_a_missing_split_is_an_error() {
        let files = || vec!["a_train", "a_val", "b_val"];
        let of = |name: &&str| Split::of_name(name);
        assert_eq!(choose(files(), None, of).unwrap(), ["a_val", "b_val"]);
        assert_eq!(choose(files(), Some(Split::Train), of).unwrap(), ["a_train"]);
        let error = choose(files(), Some(Split::Test), of).unwrap_err().to_string();
        assert_eq!(error, "the data set has no split #test; it has #val and #train");
        assert_eq!(choose(vec!["a", "b"], None, of).unwrap(), ["a", "b"]);
        assert!(choose(vec!["a"], Some(Split::Train), of).unwrap_err().to_string().contains("no splits"));
        assert!(has_training(&files(), of) && !has_training(&["a_train"], of));
    }
}
