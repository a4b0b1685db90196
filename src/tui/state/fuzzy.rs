//! Fuzzy matching of a few letters against texts.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use std::cmp::Reverse;

/// How well a text matches, the best greatest; among equals, the shorter text is greater.
pub type Score = (u32, Reverse<usize>);

/// Letters to look for, in the syntax of fzf: several words in any order, `^start`, `end$`, `'exact`, `!without`.
pub struct Fuzzy {
    pattern: Pattern,
    matcher: Matcher,
    characters: Vec<char>,
}

impl Fuzzy {
    /// Looks for these letters, in any case and with or without accents.
    pub fn new(letters: &str) -> Self {
        let pattern = Pattern::parse(letters, CaseMatching::Ignore, Normalization::Smart);
        Self { pattern, matcher: Matcher::new(Config::DEFAULT), characters: Vec::new() }
    }

    /// How well a text matches; `None` if it does not. Consecutive letters and starts of words score higher.
    pub fn score(&mut self, text: &str) -> Option<Score> {
        let score = self.pattern.score(Utf32Str::new(text, &mut self.characters), &mut self.matcher)?;
        Some((score, Reverse(text.len())))
    }
}
