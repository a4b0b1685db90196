//! Fuzzy matching of a query against strings.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use std::cmp::Reverse;

/// Score of a match; higher is better. Among equally good matches, shorter strings score higher.
pub type Score = (u32, Reverse<usize>);

/// A query in fzf syntax: several words in any order, with `^start`, `end$`, `'exact` and `!without`.
pub struct Fuzzy {
    pattern: Pattern,
    matcher: Matcher,
    characters: Vec<char>,
}

impl Fuzzy {
    /// Compiles a query. Matching ignores case and accents.
    pub fn new(letters: &str) -> Self {
        let pattern = Pattern::parse(letters, CaseMatching::Ignore, Normalization::Smart);
        Self { pattern, matcher: Matcher::new(Config::DEFAULT), characters: Vec::new() }
    }

    /// Score of a string; `None` if it does not match. Consecutive letters and word starts score higher.
    pub fn score(&mut self, text: &str) -> Option<Score> {
        let score = self.pattern.score(Utf32Str::new(text, &mut self.characters), &mut self.matcher)?;
        Some((score, Reverse(text.len())))
    }
}
