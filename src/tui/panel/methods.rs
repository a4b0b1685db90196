//! The methods panel.

use super::spec::{BLANK, Height, List, Panel, PanelPlace, Small};
use crate::script::summary::MethodRow;
use crate::tui::action::request;
use crate::tui::effect::Effect;
use crate::tui::event::Key as K;
use crate::tui::keymap::{Action as A, Binding, row as bind};
use crate::tui::picture::PictureStage;
use crate::tui::state::{Pane, REST, Rest, State};
use crate::tui::theme::Theme;
use crate::tui::view::widget::{mark, row};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// The methods panel.
pub const PANEL: Panel = Panel {
    pane: Pane::METHODS,
    place: PanelPlace::Left(Height::Rows(|state, column| {
        (state.listed().len() as u16 + 2).clamp(5, (column * 45 / 100).max(5))
    })),
    small: Small::Left,
    keys: KEYS,
    list: Some(List { rows: |state| state.listed().len(), clickable: true, moved: rest }),
    act,
    title: |state, theme, _| match state.method_filter.as_str() {
        "" => Vec::new(),
        text => vec![Span::styled(format!("/{text} "), theme.warn)],
    },
    draw,
    ..BLANK
};

const KEYS: &[Binding] = &[bind(&[K::Enter], A::Choose, "Methods", "run the method", "run")];

fn act(state: &mut State, action: A) -> Option<Vec<Effect>> {
    if action != A::Choose {
        return None;
    }
    let name = state.method_under_cursor().map(|m| m.name.clone());
    Some(name.map_or_else(Vec::new, |name| request::run_method(state, name)))
}

/// Schedules the method under the cursor to run once the cursor has rested on it, unless steps of the current method would be lost.
fn rest(state: &mut State) {
    let Some(name) = state.method_under_cursor().map(|m| m.name.clone()) else { return };
    let present = state.method.as_ref().is_some_and(|m| m.name == name);
    let steps = state.run.frame.as_ref().is_some_and(|f| f.kept > 1);
    if steps && !present {
        let method = state.method.as_ref().map_or("", |m| m.name.as_str());
        state.say(format!("press Enter to run {name} and discard the steps of {method}"));
    }
    let rest = (Rest::Method(name), state.now + REST);
    state.resting = (!present && !steps).then_some(rest);
}

/// Draws the list of methods. `▶` marks the current method, `✗` a broken one.
fn draw(buf: &mut Buffer, inner: Rect, state: &State, theme: &Theme, _: &PictureStage) {
    let listed = state.listed();
    let cursor = state.cursor(Pane::METHODS);
    for (y, method) in listed.iter().skip(cursor.offset).take(usize::from(inner.height)).enumerate() {
        let (sign, style) = sign(method, state, theme);
        let left = Line::from(vec![Span::styled(format!("{sign} "), style), Span::styled(method.name.clone(), style)]);
        let room = usize::from(inner.width).saturating_sub(left.width() + 1);
        let note = Some(note(method, state)).filter(|note| note.len() <= room).unwrap_or_default();
        row(buf, inner, y, left, Line::styled(note, style));
        if y + cursor.offset == cursor.cursor {
            mark(buf, inner, y, state.focus == Pane::METHODS, theme);
        }
    }
    if listed.is_empty() && !state.methods.is_empty() {
        row(buf, inner, 0, Line::styled("no matches; Esc shows all", theme.dim), Line::default());
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

/// Note on a method: the line of its error if it is broken, its step if it is current and has steps, otherwise its group.
fn note(method: &MethodRow, state: &State) -> String {
    let present = state.method.as_ref().is_some_and(|m| m.name == method.name && m.stepped);
    match (method.broken, &state.run.frame) {
        (Some(line), _) => format!("line {line}"),
        (None, Some(frame)) if present && !state.run.foreign => format!("{}/{}", frame.step, frame.kept.max(1) - 1),
        _ => method.group.clone(),
    }
}
