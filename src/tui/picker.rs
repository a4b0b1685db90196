//! A list to choose from, narrowed down by typing a few letters.

use super::list::List;
use image::RgbImage;
use std::sync::Arc;

/// A list that is open over the panes.
#[derive(Clone, Debug, PartialEq)]
pub struct Picker {
    /// What is chosen.
    pub of: Choice,
    /// What is asked.
    pub title: String,
    /// The letters typed.
    pub query: String,
    /// All there is.
    pub items: Vec<Item>,
    /// Which of them the letters leave, the best first.
    pub hits: Vec<usize>,
    /// Cursor among those.
    pub list: List,
    /// The picture that a person may want, and its small version when it is known.
    pub preview: Option<(String, Option<Arc<RgbImage>>)>,
}

/// What is chosen from a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The method to run.
    Method,
    /// The model to open.
    Model,
    /// The target class.
    Target,
    /// The picture to open.
    Picture,
    /// Nothing: it is read.
    Reference,
    /// The colours of maps.
    Colors,
    /// The value of a parameter.
    Parameter(String),
}

/// One row of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What choosing it gives.
    pub value: String,
    /// How it reads.
    pub label: String,
    /// More about it.
    pub detail: String,
}

impl Picker {
    /// A list with the cursor on the row of this value.
    pub fn new(of: Choice, title: &str, items: Vec<Item>, present: &str) -> Self {
        let mut picker = Self {
            of,
            title: title.to_owned(),
            query: String::new(),
            items,
            hits: Vec::new(),
            list: List::default(),
            preview: None,
        };
        picker.narrow();
        picker.list.cursor = picker.items.iter().position(|i| i.value == present).unwrap_or(0);
        picker
    }

    /// Adds rows below; the cursor stays where it is.
    pub fn extend(&mut self, items: Vec<Item>) {
        let cursor = self.list;
        self.items.extend(items);
        self.narrow();
        self.list = cursor;
    }

    /// What is chosen: the row under the cursor; where any text may be given, what was typed when no row fits.
    pub fn value(&self) -> Option<String> {
        let typed = || (self.of == Choice::Picture && !self.query.is_empty()).then(|| self.query.clone());
        self.chosen().map(|item| item.value.clone()).or_else(typed)
    }

    /// Adds a letter.
    pub fn push(&mut self, letter: char) {
        self.query.push(letter);
        self.narrow();
    }

    /// Takes the last letter back.
    pub fn rub(&mut self) {
        self.query.pop();
        self.narrow();
    }

    /// The row under the cursor.
    pub fn chosen(&self) -> Option<&Item> {
        self.hits.get(self.list.cursor).map(|i| &self.items[*i])
    }

    fn narrow(&mut self) {
        if self.query.is_empty() {
            self.hits = (0..self.items.len()).collect();
            self.list = List::default();
            return;
        }
        let word = self.query.to_lowercase();
        let best = |i: &Item| match self.of {
            Choice::Reference => {
                i.value.to_lowercase().contains(&word).then(|| score(&word, &i.label).unwrap_or(-1000))
            }
            _ => score(&self.query, &i.label).max(score(&self.query, &i.value)),
        };
        let mut hits: Vec<_> = self.items.iter().enumerate().filter_map(|(at, i)| Some((best(i)?, at))).collect();
        hits.sort_by_key(|(score, at)| (-score, *at));
        self.hits = hits.into_iter().map(|(_, at)| at).collect();
        self.list = List::default();
    }
}

/// How well letters fit a text that must have them in this order; none when it does not. Letters in a row and at the
/// start of words count more, and so do short texts.
pub fn score(letters: &str, text: &str) -> Option<i64> {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let letters: Vec<char> = letters.to_lowercase().chars().collect();
    let starts = text.iter().enumerate().filter(|(_, c)| letters.first().is_none_or(|l| l == *c)).map(|(at, _)| at);
    starts.filter_map(|from| score_from(&letters, &text, from)).max().or(letters.is_empty().then_some(0))
}

fn score_from(letters: &[char], text: &[char], from: usize) -> Option<i64> {
    let mut at = from;
    let mut total = -(text.len() as i64);
    for (n, letter) in letters.iter().enumerate() {
        let next = text[at..].iter().position(|c| c == letter)? + at;
        let word_start = next == 0 || !text[next - 1].is_alphanumeric();
        total += if n > 0 && next == at { 20 } else { 0 } + if word_start { 30 } else { 0 };
        at = next + 1;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picker(labels: &[&str]) -> Picker {
        let item = |l: &&str| Item { value: (*l).into(), label: (*l).into(), detail: String::new() };
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
        picker.rub();
        picker.rub();
        assert_eq!(hits(&picker)[0], "shapes", "a short name that starts with the letter comes first");
    }

    #[test]
    fn starts_of_words_win() {
        let mut picker = picker(&["stack oat", "tiger cat", "cat"]);
        "cat".chars().for_each(|c| picker.push(c));
        assert_eq!(hits(&picker), ["cat", "tiger cat", "stack oat"]);
    }

    #[test]
    fn nothing_typed_leaves_all_in_order() {
        assert_eq!(hits(&picker(&["long", "b", "a"])), ["long", "b", "a"]);
    }
}
