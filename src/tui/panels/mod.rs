//! Drawing: one file a pane, each a function of the state.
#![allow(clippy::disallowed_methods)]

pub mod classes;
pub mod curves;
pub mod fault;
pub mod figures;
pub mod header;
pub mod help;
pub mod layers;
pub mod layout;
pub mod log;
pub mod methods;
pub mod parameters;
pub mod picker;
pub mod plot;
pub mod prompt;
pub mod scatter;
pub mod scrubber;
pub mod status;

use super::picture::Stage;
use super::state::{Pane, Popup, State};
use super::theme::Theme;
use crate::words;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Widget, Wrap};
use std::borrow::Cow;

/// Draws the whole screen, and says where the cursor blinks.
pub fn draw(buf: &mut Buffer, state: &State, theme: &Theme, stage: &mut Stage) -> Option<Position> {
    let areas = layout::areas(state);
    stage.begin(layout::popup(state));
    let cursor = match areas.panes.is_empty() {
        true => too_small(buf),
        false => {
            header::draw(buf, areas.header, state, theme);
            for (pane, area) in &areas.panes {
                draw_pane(buf, *pane, *area, state, theme, stage);
            }
            scrubber::draw(buf, areas.scrubber, state, theme);
            fault::draw(buf, areas.fault, state, theme);
            status::draw(buf, areas.status, state, theme);
            draw_popup(buf, state, theme, stage)
        }
    };
    stage.finish(buf);
    cursor
}

fn draw_pane(buf: &mut Buffer, pane: Pane, area: Rect, state: &State, theme: &Theme, stage: &mut Stage) {
    match pane {
        Pane::Methods => methods::draw(buf, area, state, theme),
        Pane::Layers => layers::draw(buf, area, state, theme),
        Pane::Figures => figures::draw(buf, area, state, theme, stage),
        Pane::Parameters => parameters::draw(buf, area, state, theme),
        Pane::Classes => classes::draw(buf, area, state, theme),
        Pane::Curves => curves::draw(buf, area, state, theme),
        Pane::Log => log::draw(buf, area, state, theme),
    }
}

/// Draws what is open over the panes, and says where the cursor blinks.
fn draw_popup(buf: &mut Buffer, state: &State, theme: &Theme, stage: &Stage) -> Option<Position> {
    let area = layout::popup(state)?;
    Clear.render(area, buf);
    match state.popup.as_ref()? {
        Popup::Help(row) => help::draw(buf, area, *row, state, theme),
        Popup::Picker(picker) => return Some(picker::draw(buf, area, picker, theme, stage)),
        Popup::Prompt(prompt) => return Some(prompt::draw(buf, area, prompt, theme)),
    }
    None
}

fn too_small(buf: &mut Buffer) -> Option<Position> {
    let (width, height) = layout::LEAST;
    let text = format!("needs at least {width}x{height}");
    put(buf, (0, 0), Line::raw(text), buf.area.width);
    None
}

/// Draws the frame of a pane with its number and title, and gives what is inside.
fn pane(buf: &mut Buffer, area: Rect, of: Pane, title: Vec<Span<'static>>, state: &State, theme: &Theme) -> Rect {
    let focused = state.focus == of && state.popup.is_none();
    let number = Span::styled(format!(" {} ", of.number()), if focused { theme.focus } else { theme.strong });
    let name = Span::styled(format!("{of:?} "), if focused { theme.focus } else { theme.frame });
    let title = Line::from([vec![number, name], title].concat());
    framed(buf, area, title, if focused { theme.focus } else { theme.frame })
}

/// Draws a frame with a title, and gives what is inside.
fn framed(buf: &mut Buffer, area: Rect, title: Line<'_>, style: Style) -> Rect {
    let block = Block::bordered().border_set(border::ROUNDED).border_style(style).title(shown(title));
    let inner = block.inner(area);
    block.render(area, buf);
    inner
}

/// Writes a row: text from the left, cut where the text from the right begins.
fn row(buf: &mut Buffer, area: Rect, y: usize, left: Line<'_>, right: Line<'_>) {
    let right = shown(right);
    let Some(y) = u16::try_from(y).ok().filter(|y| *y < area.height).map(|y| area.y + y) else { return };
    let room = area.width.saturating_sub(right.width() as u16);
    let gap = u16::from(right.width() > 0);
    put(buf, (area.x, y), left, room.saturating_sub(gap));
    put(buf, (area.x + room, y), right, area.width - room);
}

/// Writes a line of at most this many cells: with [`paragraph`] the only place that does, so that all words are [`shown`].
fn put(buf: &mut Buffer, (x, y): (u16, u16), line: Line<'_>, width: u16) {
    buf.set_line(x, y, &shown(line), width);
}

/// Writes lines, broken where they are longer than the area; `trim` takes away spaces at the beginnings of lines.
fn paragraph<'a>(buf: &mut Buffer, area: Rect, lines: impl IntoIterator<Item = Line<'a>>, trim: bool) {
    let lines: Vec<_> = lines.into_iter().map(shown).collect();
    Paragraph::new(lines).wrap(Wrap { trim }).render(area, buf);
}

/// A line in which nothing from outside is hidden, or turns the direction of writing.
fn shown(mut line: Line<'_>) -> Line<'_> {
    for span in &mut line.spans {
        if let Cow::Owned(escaped) = words::line(&span.content) {
            span.content = escaped.into();
        }
    }
    line
}

/// Marks the row under the cursor.
fn mark(buf: &mut Buffer, area: Rect, y: usize, focused: bool, theme: &Theme) {
    if let Some(y) = u16::try_from(y).ok().filter(|y| *y < area.height) {
        let line = Rect::new(area.x, area.y + y, area.width, 1);
        buf.set_style(line, if focused { theme.cursor } else { theme.mark });
    }
}

/// A bar of this length in eighths of a cell.
fn bar(share: f32, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * width as f32 * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// A number in few letters: four digits that matter.
pub fn brief(value: f64) -> String {
    let size = value.abs();
    match () {
        () if value == 0.0 => "0".into(),
        () if !value.is_finite() => value.to_string(),
        () if !(1e-3..1e5).contains(&size) => format!("{value:.1e}"),
        () if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        () => {
            let digits = (2 - size.log10().floor() as i32).max(0) as usize;
            format!("{value:.digits$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_outside_are_seen_escaped_in_every_way_they_are_drawn() {
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
