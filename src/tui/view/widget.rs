//! Widgets for panels and pop-ups: frames, rows of text, bars.

use crate::tui::theme::Theme;
use crate::words;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Widget, Wrap};
use std::borrow::Cow;

/// An area of at most `width` columns and `height` rows, centered on the screen.
pub fn centered((columns, rows): (u16, u16), width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(columns), height.min(rows));
    Rect::new((columns - width) / 2, (rows - height) / 2, width, height)
}

/// The area inside the frame of `area`.
pub fn inside(area: Rect) -> Rect {
    Block::bordered().inner(area)
}

/// Draws a titled frame around `area` and returns the area inside.
pub fn framed(buf: &mut Buffer, area: Rect, title: Line<'_>, style: Style) -> Rect {
    let title = fitted(shown(title), area.width.saturating_sub(2));
    let block = Block::bordered().border_set(border::ROUNDED).border_style(style).title(title);
    let inner = block.inner(area);
    block.render(area, buf);
    inner
}

/// Writes a row of text: `right` aligned at the right edge, and `left` truncated to the remaining width.
pub fn row(buf: &mut Buffer, area: Rect, y: usize, left: Line<'_>, right: Line<'_>) {
    let right = shown(right);
    let Some(y) = u16::try_from(y).ok().filter(|y| *y < area.height).map(|y| area.y + y) else { return };
    let room = area.width.saturating_sub(right.width() as u16);
    let gap = u16::from(right.width() > 0);
    put(buf, (area.x, y), left, room.saturating_sub(gap));
    put(buf, (area.x + room, y), right, area.width - room);
}

/// Writes a line of at most `width` cells; a longer one ends with an ellipsis. Text from outside is written only by this function, [`framed`] and [`paragraph`], which
/// escape it.
pub fn put(buf: &mut Buffer, (x, y): (u16, u16), line: Line<'_>, width: u16) {
    buf.set_line(x, y, &fitted(shown(line), width), width);
}

/// Cuts a line to `width` cells. A line that is cut ends with an ellipsis.
fn fitted(mut line: Line<'_>, width: u16) -> Line<'_> {
    let width = usize::from(width);
    if line.width() <= width {
        return line;
    }
    let mut room = width.saturating_sub(1);
    let mut last = Style::new();
    let mut kept = Vec::new();
    for span in std::mem::take(&mut line.spans) {
        if span.width() <= room {
            room -= span.width();
            last = span.style;
            kept.push(span);
            continue;
        }
        let fits = |text: &str| Span::raw(text).width() <= room;
        let ends = span.content.char_indices().map(|(at, letter)| at + letter.len_utf8());
        let end = ends.take_while(|end| fits(&span.content[..*end])).last().unwrap_or(0);
        last = span.style;
        kept.push(Span::styled(span.content[..end].to_owned(), span.style));
        break;
    }
    if width > 0 {
        kept.push(Span::styled("…", last));
    }
    line.spans = kept;
    line
}

/// Writes lines wrapped to the area; text that does not fit ends with an ellipsis. `trim` removes leading spaces from wrapped lines.
pub fn paragraph<'a>(buf: &mut Buffer, area: Rect, lines: impl IntoIterator<Item = Line<'a>>, trim: bool) {
    let lines: Vec<_> = lines.into_iter().map(shown).collect();
    let text = Paragraph::new(lines).wrap(Wrap { trim });
    // One more row shows whether the text goes on.
    let mut all = Buffer::empty(Rect { height: area.height.saturating_add(1), ..area });
    text.clone().render(all.area, &mut all);
    text.render(area, buf);
    let all = &all;
    let row = |y: u16| (area.x..area.right()).filter(move |x| all.cell((*x, y)).is_some_and(|c| c.symbol() != " "));
    if area.height > 0 && row(area.bottom()).next().is_some() {
        let end = row(area.bottom() - 1).next_back().map_or(area.x, |x| (x + 1).min(area.right().saturating_sub(1)));
        buf.set_string(end, area.bottom() - 1, "…", Style::new());
    }
}

/// Escapes the characters in a line that are invisible or change the text direction.
fn shown(mut line: Line<'_>) -> Line<'_> {
    for span in &mut line.spans {
        if let Cow::Owned(escaped) = words::line(&span.content) {
            span.content = escaped.into();
        }
    }
    line
}

/// Cuts a text to `width` characters. A text that is cut ends with an ellipsis.
pub fn cut(text: &str, width: usize) -> Cow<'_, str> {
    match text.chars().count() <= width {
        true => text.into(),
        false => (text.chars().take(width.saturating_sub(1)).collect::<String>() + "…").into(),
    }
}

/// Cuts a name to `width` characters in the middle, so that its start and end remain: `features.3…squeeze`.
pub fn cut_middle(text: &str, width: usize) -> Cow<'_, str> {
    let count = text.chars().count();
    if count <= width {
        return text.into();
    }
    let (start, end) = (width.saturating_sub(1) / 2, width.saturating_sub(1).div_ceil(2));
    let letters = |from: usize, to: usize| text.chars().skip(from).take(to - from).collect::<String>();
    format!("{}…{}", letters(0, start), letters(count - end, count)).into()
}

/// Draws a horizontal line in the first row of an area.
pub fn rule(buf: &mut Buffer, area: Rect, style: Style) {
    buf.set_string(area.x, area.y, "─".repeat(usize::from(area.width)), style);
}

/// Highlights row `y` of an area as the row under the cursor.
pub fn mark(buf: &mut Buffer, area: Rect, y: usize, focused: bool, theme: &Theme) {
    if let Some(y) = u16::try_from(y).ok().filter(|y| *y < area.height) {
        let line = Rect::new(area.x, area.y + y, area.width, 1);
        buf.set_style(line, if focused { theme.cursor } else { theme.mark });
    }
}

/// A bar that fills `share` of `width` cells, in steps of an eighth of a cell.
pub fn bar(share: f32, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * width as f32 * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrusted_text_is_escaped_however_it_is_drawn() {
        let hostile = "a\x1b[31m\u{9b}\u{202e}b\u{200b}c";
        let area = Rect::new(0, 0, 80, 6);
        let mut buf = Buffer::empty(area);
        row(&mut buf, area, 0, Line::raw(hostile), Line::raw(hostile));
        put(&mut buf, (0, 1), Line::raw(hostile), 80);
        paragraph(&mut buf, Rect::new(0, 2, 80, 1), [Line::raw(hostile)], false);
        framed(&mut buf, Rect::new(0, 3, 80, 3), Line::raw(hostile), Style::new());
        let seen: String = buf.content.iter().map(|cell| cell.symbol()).collect();
        assert_eq!(seen.matches("a\\x1b[31m\\u{9b}\\u{202e}b\\u{200b}c").count(), 5, "{seen}");
        assert!(!seen.chars().any(|c| c.is_control() || "\u{202e}\u{200b}".contains(c)));
    }
}
