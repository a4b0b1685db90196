//! The state of the help: how far it is scrolled, and the search.

/// The open help.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Help {
    /// Index of the first visible line of each column.
    pub top: usize,
    /// The text searched for; empty if there is none.
    pub query: String,
    /// Whether the text is still being typed.
    pub typing: bool,
    /// Index of the current match.
    pub at: usize,
}

impl Help {
    /// Whether the last line shows the search.
    pub fn searches(&self) -> bool {
        self.typing || !self.query.is_empty()
    }

    /// Goes to the next of `count` matches, or the previous one if `by` is negative, wrapping around.
    pub fn go(&mut self, by: i32, count: usize) {
        let count = count.max(1);
        let step = by.rem_euclid(i32::try_from(count).unwrap_or(i32::MAX)) as usize;
        self.at = (self.at.min(count - 1) + step) % count;
    }

    /// Ends the search.
    pub fn end_search(&mut self) {
        *self = Self { top: self.top, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_wrap_around_in_both_directions() {
        let mut help = Help::default();
        let mut seen = vec![];
        for by in [1, 1, 1, -1, -1] {
            help.go(by, 3);
            seen.push(help.at);
        }
        assert_eq!(seen, [1, 2, 0, 2, 1]);
        help.go(1, 0);
        assert_eq!(help.at, 0, "without matches it stays at the start");
    }
}
