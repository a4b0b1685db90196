//! The pane of methods.

use super::{mark, pane, row};
use crate::script::message::MethodRow;
use crate::tui::state::{Pane, State};
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Draws it: `▶` stands before the present method, `✗` before a broken one.
pub fn draw(buf: &mut Buffer, area: Rect, state: &State, theme: &Theme) {
    let title = match state.method_filter.as_str() {
        "" => Vec::new(),
        text => vec![Span::styled(format!("/{text} "), theme.warn)],
    };
    let inner = pane(buf, area, Pane::Methods, title, state, theme);
    let listed = state.listed();
    for (y, method) in listed.iter().skip(state.method_list.offset).take(usize::from(inner.height)).enumerate() {
        let (sign, style) = sign(method, state, theme);
        let left = Line::from(vec![Span::styled(format!("{sign} "), style), Span::styled(method.name.clone(), style)]);
        let room = usize::from(inner.width).saturating_sub(left.width() + 1);
        let note = Some(note(method, state)).filter(|note| note.len() <= room).unwrap_or_default();
        row(buf, inner, y, left, Line::styled(note, style));
        if y + state.method_list.offset == state.method_list.cursor {
            mark(buf, inner, y, state.focus == Pane::Methods, theme);
        }
    }
    if listed.is_empty() && !state.methods.is_empty() {
        row(buf, inner, 0, Line::styled("none fits; Esc shows all", theme.dim), Line::default());
    }
}

fn sign(method: &MethodRow, state: &State, theme: &Theme) -> (&'static str, Style) {
    let present = state.method.as_ref().is_some_and(|m| m.name == method.name);
    match (method.broken, present) {
        (Some(_), _) => ("✗", theme.bad),
        (None, true) => ("▶", theme.strong),
        (None, false) => ("●", Style::new()),
    }
}

/// The line of its error, the step it is at, or its group.
fn note(method: &MethodRow, state: &State) -> String {
    let present = state.method.as_ref().is_some_and(|m| m.name == method.name && m.stepped);
    match (method.broken, &state.run.frame) {
        (Some(line), _) => format!("line {line}"),
        (None, Some(frame)) if present && !state.run.foreign => format!("{}/{}", frame.step, frame.kept.max(1) - 1),
        _ => method.group.clone(),
    }
}
