//! A list to choose from, with a picture or words beside it where there are any.

use super::layout::WORDS;
use super::{framed, mark, paragraph, row};
use crate::tui::picker::{Choice, Picker};
use crate::tui::picture::Stage;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

/// Draws it, and says where the cursor blinks.
pub fn draw(buf: &mut Buffer, area: Rect, picker: &Picker, theme: &Theme, stage: &Stage) -> Position {
    let inner = framed(buf, area, Line::styled(format!(" {} ", picker.title), theme.focus), theme.focus);
    let line = Line::from(vec![Span::styled("> ", theme.focus), Span::raw(picker.query.clone())]);
    let count = Line::styled(format!("{}/{}", picker.hits.len(), picker.items.len()), theme.dim);
    row(buf, inner, 0, line, count);
    rule(buf, inner, 1, theme);
    let below = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
    let list = draw_beside(buf, below, picker, theme, stage);
    draw_list(buf, list, picker, theme);
    let typed = picker.query.chars().count() as u16;
    Position::new((inner.x + 2 + typed).min(inner.right().saturating_sub(1)), inner.y)
}

/// Draws what stands beside the list, and gives what is left for the list.
fn draw_beside(buf: &mut Buffer, area: Rect, picker: &Picker, theme: &Theme, stage: &Stage) -> Rect {
    match picker.of {
        Choice::Picture if area.width >= 40 => {
            let wide = area.width * 45 / 100;
            let place = Rect { x: area.right() - wide, width: wide, ..area };
            if let Some((_, Some(image))) = &picker.preview {
                stage.sketch(buf, place, image);
            }
            Rect { width: area.width - wide - 1, ..area }
        }
        Choice::Reference if area.height > WORDS + 2 => {
            let list = Rect { height: area.height - WORDS - 1, ..area };
            rule(buf, area, list.height, theme);
            let words = Rect { y: list.bottom() + 1, height: WORDS, ..area };
            let text = picker.chosen().map_or("", |item| &item.value);
            paragraph(buf, words, text.lines().map(Line::raw), true);
            list
        }
        _ => area,
    }
}

fn draw_list(buf: &mut Buffer, list: Rect, picker: &Picker, theme: &Theme) {
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
        let text = match picker.value() {
            Some(typed) => format!(" Enter opens {typed}"),
            None => " nothing fits".into(),
        };
        row(buf, list, 0, Line::styled(text, theme.dim), Line::default());
    }
}

fn rule(buf: &mut Buffer, area: Rect, row: u16, theme: &Theme) {
    buf.set_string(area.x, area.y + row, "─".repeat(usize::from(area.width)), theme.frame);
}
