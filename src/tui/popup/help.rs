//! The help, which lists all keys and commands.

use super::{file_browser, picker, prompt};
use crate::tui::command::COMMANDS;
use crate::tui::event::{Key as K, Mouse};
use crate::tui::keymap::{Action as A, Binding, Bound, find, row};
use crate::tui::layer::{Handled, Layer};
use crate::tui::panel::{self, PANELS};
use crate::tui::state::{Popup, State};
use crate::tui::theme::Theme;
use crate::tui::view::widget::{centered, framed, put};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use std::borrow::Cow;

/// The screen layer of the help.
pub const LAYER: Layer =
    Layer { keys, find: |_, key| find(KEYS, key), act, text: |_, _| Some(Vec::new()), point, modal: true };

const KEYS: &[Binding] = &[
    row(&[K::Char('j'), K::Down], A::Move(1), "In the help", "down", "scroll"),
    row(&[K::Char('k'), K::Up], A::Move(-1), "In the help", "up", ""),
    row(&[K::Char(' '), K::PageDown, K::Ctrl('d')], A::Page(1), "In the help", "half a page down", ""),
    row(&[K::PageUp, K::Ctrl('u')], A::Page(-1), "In the help", "half a page up", ""),
    row(&[K::Esc, K::Char('q'), K::Char('?'), K::Enter, K::Ctrl('c')], A::Escape, "In the help", "close", "close"),
];

/// Number of rows in half a page.
const HALF: isize = 8;

fn keys(state: &State) -> Vec<Bound> {
    KEYS.iter().map(|row| state.bindings.popup(row)).collect()
}

/// Scrolls the help. Any other action closes it.
fn act(state: &mut State, action: A) -> Handled {
    let Some(Popup::Help(top)) = state.popup else { return None };
    state.popup = match action {
        A::Move(by) => Some(Popup::Help(top.saturating_add_signed(by as isize))),
        A::Page(by) => Some(Popup::Help(top.saturating_add_signed(by as isize * HALF))),
        _ => None,
    };
    Some(Vec::new())
}

/// Handles the mouse: the wheel scrolls the help, and a click closes it.
fn point(state: &mut State, mouse: Mouse, _: (u16, u16)) -> Handled {
    match mouse {
        Mouse::WheelUp => act(state, A::Move(-1)),
        Mouse::WheelDown => act(state, A::Move(1)),
        Mouse::Press => act(state, A::Escape),
        Mouse::Drag => Some(Vec::new()),
    }
}

/// Area of the help on a screen of `size` columns and rows.
pub fn area(size: (u16, u16)) -> Rect {
    centered(size, size.0.saturating_sub(4).min(98), size.1.saturating_sub(2).min(36))
}

/// Draws the help starting at line `row`, in two columns if they fit. The keys of the focused panel come first.
pub fn draw(buf: &mut Buffer, area: Rect, row: usize, state: &State, theme: &Theme) {
    let title = Line::styled(" Help  j k scroll  q close ", theme.focus);
    let inner = framed(buf, area, title, theme.focus);
    let lines = lines(state, theme);
    let count = if inner.width >= 90 { 2 } else { 1 };
    let height = usize::from(inner.height);
    let per = lines.len().div_ceil(count).max(1);
    let top = row.min(per.saturating_sub(height));
    let columns = Layout::horizontal(vec![Constraint::Fill(1); count]).spacing(2).split(inner);
    for (column, lines) in columns.iter().zip(lines.chunks(per)) {
        for (y, line) in lines.iter().skip(top).take(height).enumerate() {
            put(buf, (column.x, column.y + y as u16), line.clone(), column.width);
        }
    }
}

fn lines(state: &State, theme: &Theme) -> Vec<Line<'static>> {
    let focused = panel::of(state.focus);
    let others = PANELS.iter().filter(|panel| panel.pane != state.focus);
    let rows = panel::keys(focused, state).into_iter().chain(panel::keys_everywhere(state));
    let rows = rows.chain(others.flat_map(|panel| panel::keys(panel, state)));
    let rows = rows
        .chain((picker::LAYER.keys)(state))
        .chain((file_browser::LAYER.keys)(state))
        .chain((prompt::LAYER.keys)(state))
        .chain(keys(state));
    let mut lines = Vec::new();
    let mut section = "";
    for bound in rows.filter(|bound| !bound.keys.is_empty()) {
        if bound.binding.section != section {
            section = bound.binding.section;
            if !lines.is_empty() {
                lines.push(Line::default());
            }
            lines.push(Line::styled(section, theme.focus));
        }
        lines.push(entry(bound, theme));
    }
    lines.extend([Line::default(), Line::styled("Commands", theme.focus)]);
    lines.extend(COMMANDS.iter().map(|c| pair(format!(":{} {}", c.name, c.arguments), 22, c.summary.into(), theme)));
    lines
}

fn entry(bound: Bound, theme: &Theme) -> Line<'static> {
    let keys: Vec<_> = bound.keys.iter().map(ToString::to_string).collect();
    pair(keys.join(" "), 14, bound.binding.says, theme)
}

fn pair(left: String, width: usize, right: Cow<'static, str>, theme: &Theme) -> Line<'static> {
    Line::from(vec![Span::styled(format!(" {left:width$} "), theme.strong), Span::styled(right, Style::new())])
}
