//! A rectangle of a picture.

/// A window of the picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelWindow {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl PixelWindow {
    /// Whether a pixel lies in it.
    pub fn covers(&self, row: usize, column: usize) -> bool {
        (self.top..self.top + self.height).contains(&row) && (self.left..self.left + self.width).contains(&column)
    }
}
