//! The classes of a data set: their names, and the class of each picture.

use anyhow::{Result, bail, ensure};
use std::collections::BTreeSet;

/// Exclusive upper bound of class indices.
const MAX_CLASSES: usize = 1_000_000;

/// Class names, and the class of each picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels {
    /// Class names by index; empty if the classes have no names.
    pub classes: Vec<String>,
    /// Whether the classes are numbered alphabetically, so that their indices have no meaning outside the data set.
    pub alphabetical: bool,
    /// The class of each picture; `None` if the pictures have no labels.
    pub of: Option<Vec<usize>>,
}

impl Labels {
    /// Creates labels from one word per picture: if all words are numbers, they are class indices; otherwise they are class names,
    /// numbered alphabetically.
    ///
    /// Errors if an index is too large.
    pub fn of_words(words: &[impl AsRef<str>]) -> Result<Self> {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        if let Ok(numbers) = words.iter().map(|word| word.parse::<usize>()).collect::<Result<Vec<_>, _>>() {
            return Self::of_numbers(numbers, Vec::new());
        }
        let classes: Vec<_> = words.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let labels = words.iter().filter_map(|word| classes.binary_search(word).ok()).collect();
        Ok(Self { classes: classes.into_iter().map(String::from).collect(), alphabetical: true, of: Some(labels) })
    }

    /// Creates labels from class indices. `classes` holds the class names by index, or is empty.
    ///
    /// Errors if an index is too large.
    pub fn of_numbers(numbers: Vec<usize>, classes: Vec<String>) -> Result<Self> {
        if let Some(large) = numbers.iter().find(|&&n| n >= MAX_CLASSES) {
            bail!("class index {large} is too large; indices must be below {MAX_CLASSES}");
        }
        let beyond = numbers.iter().position(|&n| !classes.is_empty() && n >= classes.len());
        ensure!(
            beyond.is_none(),
            "picture {} has class {}, but there are {} class names",
            beyond.unwrap_or_default(),
            numbers[beyond.unwrap_or_default()],
            classes.len()
        );
        Ok(Self { classes, alphabetical: false, of: Some(numbers) })
    }

    /// Creates labels from signed class indices, where -1 marks a picture without a label.
    ///
    /// Errors if only some of the pictures have labels, or if an index is too large.
    pub fn of_signed(numbers: Vec<i64>, classes: Vec<String>) -> Result<Self> {
        if !numbers.is_empty() && numbers.iter().all(|&n| n == -1) {
            return Ok(Self { classes, ..Self::default() });
        }
        let negative = numbers.iter().position(|&n| n < 0);
        if let Some(i) = negative {
            bail!("picture {i} has class {}; class indices must be 0 or more", numbers[i]);
        }
        Self::of_numbers(numbers.into_iter().map(|n| n as usize).collect(), classes)
    }
}

/// Extracts the WordNet ID `n02111889` from `n02111889` or `n02111889-Samoyed`.
pub fn wordnet_id(name: &str) -> Option<&str> {
    let (id, rest) = name.split_at_checked(9)?;
    let digits = id.strip_prefix('n')?.bytes().all(|b| b.is_ascii_digit());
    (digits && (rest.is_empty() || rest.starts_with(['-', '_', ' ']))).then_some(id)
}
