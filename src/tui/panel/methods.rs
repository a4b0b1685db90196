//! The methods panel: groups that fold, and what the method under the cursor tells.

use super::spec::{BLANK, List, Panel, PanelPlace};
use crate::script::summary::MethodRow;
use crate::tui::action::request;
use crate::tui::effect::Effect;
use crate::tui::event::Key as K;
use crate::tui::keymap::{Action as A, Binding, row as bind};
use crate::tui::picture::PictureStage;
use crate::tui::state::{MethodListRow, Pane, RECENT, REST, Rest, State, Took};
use crate::tui::theme::Theme;
use crate::tui::view::format;
use crate::tui::view::widget::{cut, mark, paragraph, row, rule};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// The methods panel.
pub const PANEL: Panel = Panel {
    pane: Pane::METHODS,
    place: PanelPlace::Left,
    keys: KEYS,
    list: Some(List {
        rows: |state| state.method_rows().len(),
        clickable: true,
        moved: rest,
        text: |state, row| match state.method_rows().get(row) {
            Some(MethodListRow::Method(method)) => format!("{} {}", method.title(), method.name),
            Some(MethodListRow::Group { name, .. }) => (*name).to_owned(),
            None => String::new(),
        },
        reserved: about_rows,
    }),
    act,
    title: |state, theme, _| match state.method_filter.as_str() {
        "" => vec![Span::styled(position(state), theme.dim)],
        text => vec![Span::styled(format!("/{text} "), theme.warn)],
    },
    draw,
    ..BLANK
};

const KEYS: &[Binding] = &[
    bind(&[K::Enter], A::Choose, "Methods", "run, or fold the group", "run"),
    bind(&[K::Left, K::Char('h')], A::Left, "Methods", "fold the group", ""),
    bind(&[K::Right, K::Char('l')], A::Right, "Methods", "unfold the group", ""),
];

/// Number of rows for the description of the method under the cursor, including the line above it, given the rows inside the frame.
fn about_rows(height: usize) -> usize {
    if height >= 16 { 8 } else { 0 }
}

/// The position of the method under the cursor among all methods, such as `12/76`.
fn position(state: &State) -> String {
    let Some(method) = state.method_under_cursor() else { return format!("{} ", state.methods.len()) };
    let at = state
        .grouped()
        .flat_map(|(_, methods)| methods)
        .position(|other| other.name == method.name)
        .map_or(0, |at| at + 1);
    format!("{at}/{} ", state.methods.len())
}

fn act(state: &mut State, action: A) -> Option<Vec<Effect>> {
    match action {
        A::Choose => return Some(choose(state)),
        A::Left => fold(state, true),
        A::Right => fold(state, false),
        _ => return None,
    }
    Some(Vec::new())
}

/// Runs the method under the cursor, or folds or unfolds the group under the cursor.
fn choose(state: &mut State) -> Vec<Effect> {
    match state.method_under_cursor().map(|method| method.name.clone()) {
        Some(name) => request::run_method(state, name),
        None => {
            if let Some((group, open)) = group_under_cursor(state) {
                state.method_list.fold(&group, open);
            }
            Vec::new()
        }
    }
}

/// The group whose heading or method is under the cursor, and whether it is unfolded.
fn group_under_cursor(state: &State) -> Option<(String, bool)> {
    let rows = state.method_rows();
    let until = rows.get(..=state.cursor(Pane::METHODS).cursor)?;
    until.iter().rev().find_map(|row| match row {
        MethodListRow::Group { name, open, .. } => Some(((*name).to_owned(), *open)),
        MethodListRow::Method(_) => None,
    })
}

/// Folds or unfolds the group of the row under the cursor, and moves the cursor to its heading.
fn fold(state: &mut State, folded: bool) {
    let Some((group, _)) = group_under_cursor(state) else { return };
    if folded {
        let heading = |row: &MethodListRow| matches!(row, MethodListRow::Group { name, .. } if *name == group);
        if let Some(place) = state.method_rows().iter().position(heading) {
            state.cursor_mut(Pane::METHODS).go(place);
        }
    }
    state.method_list.fold(&group, folded);
}

/// Schedules the method under the cursor to run once the cursor has rested on it, unless steps of the current method would be lost or
/// the method cannot run.
fn rest(state: &mut State) {
    state.resting = None;
    let Some(method) = state.method_under_cursor() else { return };
    let (name, title, runs) = (method.name.clone(), method.title().to_owned(), method.unmet.is_none());
    let present = state.method.as_ref().is_some_and(|m| m.name == name);
    let steps = state.run.frame.as_ref().is_some_and(|f| f.kept > 1) && !state.settles();
    if steps && !present {
        let method = state.method_row().map_or("", |m| m.title());
        state.say(format!("press Enter to run {title} and discard the steps of {method}"));
    }
    let rest = (Rest::Method(name), state.now + REST);
    state.resting = (!present && !steps && runs).then_some(rest);
}

/// Draws the groups and methods. `▶` marks the current method, `*` one marked for the gallery, `✗` a broken one, `+` one of the user's own.
fn draw(buf: &mut Buffer, inner: Rect, state: &State, theme: &Theme, _: &PictureStage) {
    let rows = state.method_rows();
    let cursor = state.cursor(Pane::METHODS);
    let below = about_rows(usize::from(inner.height)) as u16;
    let list = Rect { height: inner.height - below, ..inner };
    for (y, entry) in rows.iter().skip(cursor.offset).take(usize::from(list.height)).enumerate() {
        match entry {
            MethodListRow::Group { name, count, open } => {
                let sign = if *open { "▾" } else { "▸" };
                let count = if *name == RECENT { String::new() } else { count.to_string() };
                let name = Line::styled(format!("{sign} {name}"), theme.strong);
                row(buf, list, y, name, Line::styled(count, theme.dim));
            }
            MethodListRow::Method(method) => draw_method(buf, list, y, method, state, theme),
        }
        if y + cursor.offset == cursor.cursor {
            mark(buf, list, y, state.focus == Pane::METHODS, theme);
        }
    }
    if rows.is_empty() && !state.methods.is_empty() {
        row(buf, list, 0, Line::styled("no matches; Esc shows all", theme.dim), Line::default());
    }
    if let Some(method) = state.method_under_cursor().filter(|_| below > 1) {
        let area = Rect { y: list.bottom(), height: below, ..inner };
        rule(buf, area, theme.frame);
        let area = Rect { y: area.y + 1, height: below - 1, ..area };
        let unmet = method.unmet.map(|why| Line::styled(why, theme.warn));
        let name = Span::styled(format!("{} ", method.name), theme.strong);
        let about = Line::from(vec![name, Span::styled(method.about().to_owned(), theme.dim)]);
        let limits = Some(method.limits.as_str()).filter(|limits| !limits.is_empty());
        let limits = limits.map(|limits| Line::styled(format!("Limits: {limits}"), theme.dim));
        paragraph(buf, area, unmet.into_iter().chain([about]).chain(limits), true);
    }
}

fn draw_method(buf: &mut Buffer, list: Rect, y: usize, method: &MethodRow, state: &State, theme: &Theme) {
    let (sign, style) = sign(method, state, theme);
    let indent = if state.method_filter.is_empty() { "  " } else { "" };
    let note = note(method, state);
    let room = usize::from(list.width).saturating_sub(indent.len() + 2);
    let full = method.title().chars().count();
    // A note that leaves no room for the title is omitted.
    let note = if full.min(12) + 1 + note.chars().count() <= room { note } else { String::new() };
    let room = room.saturating_sub(note.chars().count() + usize::from(!note.is_empty()));
    let left = format!("{indent}{sign} {}", cut(method.title(), room));
    row(buf, list, y, Line::styled(left, style), Line::styled(note, theme.dim));
}

fn sign(method: &MethodRow, state: &State, theme: &Theme) -> (&'static str, Style) {
    let present = state.method.as_ref().is_some_and(|m| m.name == method.name);
    match method {
        MethodRow { broken: Some(_), .. } => ("✗", theme.bad),
        _ if broke(method, state).is_some() => ("✗", theme.bad),
        _ if state.gallery.methods.contains(&method.name) => ("*", theme.warn),
        _ if present => ("▶", theme.strong),
        MethodRow { unmet: Some(_), .. } => (" ", theme.dim),
        MethodRow { own: true, .. } => ("+", theme.good),
        _ => (" ", Style::new()),
    }
}

/// The line of a method's script that failed when it last ran, if it did.
fn broke(method: &MethodRow, state: &State) -> Option<usize> {
    state.broke.as_ref().filter(|(name, ..)| *name == method.name).map(|(_, line, _)| *line)
}

/// Note on a method: the line of its error if it is broken, what it lacks if it cannot run, its step if it is current and has steps,
/// otherwise how long it took.
fn note(method: &MethodRow, state: &State) -> String {
    let present = state.method.as_ref().is_some_and(|m| m.name == method.name && m.stepped);
    match (method, &state.run.frame) {
        (MethodRow { broken: Some(line), .. }, _) => format!("line {line}"),
        _ if broke(method, state).is_some() => format!("line {}", broke(method, state).unwrap_or_default()),
        (MethodRow { unmet: Some(why), .. }, _) => why.replace("needs a ", "no ").replace("needs ", "no "),
        (_, Some(frame)) if present && !state.run.foreign => format!("{}/{}", frame.step, frame.kept.max(1) - 1),
        _ => match state.method_list.took(&method.name) {
            Some(Took::Millis(millis)) => format::millis(millis),
            Some(Took::Steps) => "steps".to_owned(),
            None => String::new(),
        },
    }
}
