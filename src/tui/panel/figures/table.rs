//! Draws tables.

use crate::render;
use crate::tui::theme::Theme;
use crate::tui::view::widget::row;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the header and the rows of a table.
pub fn draw(buf: &mut Buffer, area: Rect, columns: &[String], rows: &[Vec<String>], theme: &Theme) {
    let widths = widths(columns, rows);
    let text = |row: &[String]| {
        (0..columns.len()).map(|i| format!("{:1$}", cell(row, i), widths[i])).collect::<String>().trim_end().to_owned()
    };
    row(buf, area, 0, Line::styled(text(columns), theme.strong), Line::default());
    for (y, values) in rows.iter().enumerate() {
        row(buf, area, y + 1, Line::raw(text(values)), Line::default());
    }
}

fn cell(row: &[String], column: usize) -> String {
    row.get(column).map(|c| render::short(c)).unwrap_or_default()
}

/// Width of each column of a table, including a gap of two characters.
pub fn widths(columns: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let widest = |i: usize| rows.iter().map(|r| cell(r, i).chars().count()).max().unwrap_or(0);
    columns.iter().enumerate().map(|(i, name)| widest(i).max(name.chars().count()) + 2).collect()
}
