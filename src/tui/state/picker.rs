//! The state of a picker: a selection list filtered by typing.

use super::fuzzy::Fuzzy;
use super::list_cursor::ListCursor;
use image::RgbImage;
use std::cmp::Reverse;
use std::sync::Arc;

/// A selection list, open over the panels.
#[derive(Clone, Debug, PartialEq)]
pub struct Picker {
    /// What the list is for.
    pub of: Choice,
    /// Title of the list.
    pub title: String,
    /// The query typed so far.
    pub query: String,
    /// All rows of the list.
    pub items: Vec<Item>,
    /// Indices of the rows that match the query, best match first.
    pub hits: Vec<usize>,
    /// The cursor among the matching rows.
    pub list: ListCursor,
    /// Name of the picture under the cursor and, once loaded, its thumbnail.
    pub preview: Option<(String, Option<Arc<RgbImage>>)>,
}

/// What a selection list is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The method to run.
    Method,
    /// The model to open: an architecture or a file.
    Model,
    /// The weight file for the architecture with this name.
    Weights(String),
    /// The target class.
    Target,
    /// The picture to open.
    Picture,
    /// Nothing: the list is a reference.
    Reference,
    /// The colormap for figures without a symmetric scale.
    Colors,
    /// The value of the parameter with this name.
    Parameter(String),
    /// Anything: an action, a method, a parameter, …
    Palette,
    /// The text to copy.
    Copy,
}

/// A row of a selection list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The value used when the row is selected.
    pub value: String,
    /// The displayed text, which the query is matched against.
    pub label: String,
    /// Details shown on the right.
    pub detail: String,
}

impl Item {
    /// Creates a row of a list.
    pub fn new(value: &str, label: &str, detail: &str) -> Self {
        Self { value: value.to_owned(), label: label.to_owned(), detail: detail.to_owned() }
    }
}

impl Picker {
    /// Creates a list with the cursor on the row with value `present`.
    pub fn new(of: Choice, title: &str, items: Vec<Item>, present: &str) -> Self {
        let mut picker = Self {
            of,
            title: title.to_owned(),
            query: String::new(),
            items,
            hits: Vec::new(),
            list: ListCursor::default(),
            preview: None,
        };
        picker.narrow();
        picker.list.cursor = picker.items.iter().position(|i| i.value == present).unwrap_or(0);
        picker
    }

    /// Appends rows to the list without moving the cursor.
    pub fn extend(&mut self, items: Vec<Item>) {
        let cursor = self.list;
        self.items.extend(items);
        self.narrow();
        self.list = cursor;
    }

    /// Inserts rows before index `at` of the unfiltered list. The cursor stays on its row, or on the best match of the query.
    pub fn insert(&mut self, at: usize, items: Vec<Item>) {
        let chosen = self.hits.get(self.list.cursor).copied();
        let (at, count) = (at.min(self.items.len()), items.len());
        self.items.splice(at..at, items);
        self.narrow();
        if let Some(chosen) = chosen.filter(|_| self.query.is_empty()) {
            self.list.cursor = if chosen < at { chosen } else { chosen + count };
        }
    }

    /// Whether the query may also be a file path.
    pub fn takes_paths(&self) -> bool {
        matches!(self.of, Choice::Picture | Choice::Model | Choice::Weights(_))
    }

    /// The value of the row under the cursor. In a file list, the query itself if no row matches.
    pub fn value(&self) -> Option<String> {
        let typed = || (self.takes_paths() && !self.query.is_empty()).then(|| self.query.clone());
        self.chosen().map(|item| item.value.clone()).or_else(typed)
    }

    /// Adds a character to the query.
    pub fn push(&mut self, letter: char) {
        self.query.push(letter);
        self.narrow();
    }

    /// Deletes the last character of the query.
    pub fn backspace(&mut self) {
        self.query.pop();
        self.narrow();
    }

    /// The row under the cursor; `None` if no row matches.
    pub fn chosen(&self) -> Option<&Item> {
        self.hits.get(self.list.cursor).map(|i| &self.items[*i])
    }

    fn narrow(&mut self) {
        if self.query.is_empty() {
            self.hits = (0..self.items.len()).collect();
            self.list = ListCursor::default();
            return;
        }
        let word = self.query.to_lowercase();
        let mut fuzzy = Fuzzy::new(&self.query);
        let mut best = |i: &Item| match self.of {
            Choice::Reference => {
                i.value.to_lowercase().contains(&word).then(|| fuzzy.score(&i.label).unwrap_or_default())
            }
            _ => fuzzy.score(&i.label).max(fuzzy.score(&i.value)),
        };
        let mut hits: Vec<_> = self.items.iter().enumerate().filter_map(|(at, i)| Some((best(i)?, at))).collect();
        hits.sort_by_key(|(score, at)| (Reverse(*score), *at));
        self.hits = hits.into_iter().map(|(_, at)| at).collect();
        self.list = ListCursor::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picker(labels: &[&str]) -> Picker {
        let item = |l: &&str| Item::new(l, l, "");
        Picker::new(Choice::Model, "model", labels.iter().map(item).collect(), "")
    }

    fn hits(picker: &Picker) -> Vec<&str> {
        picker.hits.iter().map(|i| picker.items[*i].label.as_str()).collect()
    }

    #[test]
    fn letters_in_order_are_enough() {
        let mut picker = picker(&["resnet18", "squeezenet1_0", "shapes", "tiger cat"]);
        "sqn".chars().for_each(|c| picker.push(c));
        assert_eq!(hits(&picker), ["squeezenet1_0"]);
        picker.backspace();
        picker.backspace();
        assert_eq!(hits(&picker)[0], "shapes", "a short name that starts with the letter comes first");
    }

    #[test]
    fn starts_of_words_win() {
        let mut picker = picker(&["stack oat", "tiger cat", "cat"]);
        "cat".chars().for_each(|c| picker.push(c));
        assert_eq!(hits(&picker), ["cat", "tiger cat", "stack oat"]);
    }

    #[test]
    fn words_match_in_any_order_without_accents() {
        let mut picker = picker(&["Größe des Netzes", "smooth_grad", "grad_cam"]);
        "grad smo".chars().for_each(|c| picker.push(c));
        assert_eq!(hits(&picker), ["smooth_grad"]);
        (0..8).for_each(|_| picker.backspace());
        "gro".chars().for_each(|c| picker.push(c));
        assert_eq!(hits(&picker), ["Größe des Netzes"]);
    }

    #[test]
    fn an_empty_query_keeps_all_rows_in_order() {
        assert_eq!(hits(&picker(&["long", "b", "a"])), ["long", "b", "a"]);
    }
}
