//! A rectangular window of a picture.

/// A rectangular window of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelWindow {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
}

impl PixelWindow {
    /// Whether the window contains the pixel at `row` and `column`.
    pub fn covers(&self, row: usize, column: usize) -> bool {
        (self.top..self.top + self.height).contains(&row) && (self.left..self.left + self.width).contains(&column)
    }
}
