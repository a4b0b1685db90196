//! A list to choose from.

use super::{framed, mark, row};
use crate::tui::picker::Picker;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

/// Draws it, and says where the cursor blinks.
pub fn draw(buf: &mut Buffer, area: Rect, picker: &Picker, theme: &Theme) -> Position {
    let inner = framed(buf, area, Line::styled(format!(" {} ", picker.title), theme.focus), theme.focus);
    let line = Line::from(vec![Span::styled("> ", theme.focus), Span::raw(picker.query.clone())]);
    let count = Line::styled(format!("{}/{}", picker.hits.len(), picker.items.len()), theme.dim);
    row(buf, inner, 0, line, count);
    buf.set_string(inner.x, inner.y + 1, "─".repeat(usize::from(inner.width)), theme.frame);
    let list = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
    let hits = picker.hits.iter().skip(picker.list.offset).take(usize::from(list.height));
    for (y, item) in hits.map(|i| &picker.items[*i]).enumerate() {
        let room = usize::from(list.width) / 2;
        let detail: String = item.detail.chars().take(room).collect();
        row(buf, list, y, Line::raw(format!(" {}", item.label)), Line::styled(detail, theme.dim));
        if y + picker.list.offset == picker.list.cursor {
            mark(buf, list, y, true, theme);
        }
    }
    if picker.hits.is_empty() {
        row(buf, list, 0, Line::styled(" nothing fits", theme.dim), Line::default());
    }
    let typed = picker.query.chars().count() as u16;
    Position::new((inner.x + 2 + typed).min(inner.right().saturating_sub(1)), inner.y)
}
