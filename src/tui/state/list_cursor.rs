//! A cursor in a list that may be longer than its panel.

/// The cursor of a list and the first visible row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListCursor {
    /// Index of the row under the cursor.
    pub cursor: usize,
    /// Index of the first visible row.
    pub offset: usize,
}

impl ListCursor {
    /// Moves the cursor by `by` rows, stopping at the ends of a list of `len` rows.
    pub fn step(&mut self, by: i32, len: usize) {
        let last = len.saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(by as isize).min(last);
    }

    /// Moves the cursor to a row, which may be past the end of the list until [`fit`](Self::fit) is called.
    pub fn go(&mut self, row: usize) {
        self.cursor = row;
    }

    /// Clamps the cursor to a list of `len` rows and scrolls so that it is among the `height` visible rows.
    pub fn fit(&mut self, len: usize, height: usize) {
        self.cursor = self.cursor.min(len.saturating_sub(1));
        let lowest = (self.cursor + 1).saturating_sub(height.max(1));
        self.offset = self.offset.clamp(lowest, self.cursor).min(len.saturating_sub(height));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_visible_and_in_the_list() {
        let mut list = ListCursor::default();
        list.step(7, 10);
        list.fit(10, 4);
        assert_eq!(list, ListCursor { cursor: 7, offset: 4 });
        list.step(-2, 10);
        list.fit(10, 4);
        assert_eq!(list, ListCursor { cursor: 5, offset: 4 }, "it scrolls as little as possible");
        list.step(100, 10);
        list.fit(3, 4);
        assert_eq!(list, ListCursor { cursor: 2, offset: 0 }, "a list that has become short is shown completely");
    }
}
