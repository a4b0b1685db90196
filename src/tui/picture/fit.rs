//! Fits pictures to areas of cells.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

/// The cells occupied by a picture of a given pixel size, scaled to fit `area` and centered. `cell` is the cell size in pixels.
pub fn fit((width, height): (u32, u32), area: Rect, cell: (u16, u16)) -> Rect {
    let room = (f64::from(area.width) * f64::from(cell.0), f64::from(area.height) * f64::from(cell.1));
    let scale = (room.0 / f64::from(width.max(1))).min(room.1 / f64::from(height.max(1)));
    let cells =
        |pixels: u32, of: u16, most: u16| ((f64::from(pixels) * scale / f64::from(of)).round() as u16).clamp(1, most);
    let (columns, rows) = (cells(width, cell.0, area.width), cells(height, cell.1, area.height));
    Rect::new(area.x + (area.width - columns) / 2, area.y + (area.height - rows) / 2, columns, rows)
}

/// Draws a ring in one cell of a picture, at a position given as fractions in `[0, 1)` of its width and height.
pub fn ring(buf: &mut Buffer, rect: Rect, (x, y): (f32, f32)) {
    let at = |part: f32, from: u16, size: u16| from + (part * f32::from(size)) as u16;
    if let Some(cell) = buf.cell_mut((at(x, rect.x, rect.width), at(y, rect.y, rect.height))) {
        cell.set_symbol("◎").set_fg(Color::White).set_bg(Color::Black);
    }
}
