//! The layers panel: a tree of modules with kinds, output shapes and parameter counts.

use super::spec::{BLANK, List, Panel, PanelPlace};
use crate::tui::action::request;
use crate::tui::effect::Effect;
use crate::tui::event::Key as K;
use crate::tui::keymap::{Action as A, Binding, row as bind};
use crate::tui::picture::PictureStage;
use crate::tui::state::{Pane, REST, Rest, State, TreeRow, shape, short};
use crate::tui::theme::Theme;
use crate::tui::view::widget::{mark, row};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// The layers panel.
pub const PANEL: Panel = Panel {
    pane: Pane::LAYERS,
    place: PanelPlace::Left,
    keys: KEYS,
    list: Some(List {
        rows: |state| state.layers.rows().len(),
        clickable: true,
        moved: rest,
        text: |state, row| state.layers.rows().get(row).map_or_else(String::new, |layer| layer.name.clone()),
        reserved: |_| 0,
    }),
    act,
    title: |state, theme, area| match state.layer_filter.as_str() {
        "" => title(state, area).map_or_else(Vec::new, |text| vec![Span::styled(text, theme.dim)]),
        text => vec![Span::styled(format!("/{text} "), theme.warn)],
    },
    draw,
    ..BLANK
};

const KEYS: &[Binding] = &[
    bind(&[K::Enter], A::Choose, "Layers", "use layer, or fold module", "choose"),
    bind(&[K::Left, K::Char('h')], A::Left, "Layers", "fold", ""),
    bind(&[K::Right, K::Char('l')], A::Right, "Layers", "unfold", ""),
    bind(&[K::Char('O')], A::UseOutput, "Layers", "use the module's output", "use"),
    bind(&[K::Char('H')], A::ShapeArithmetic, "Layers", "show or hide shape arithmetic", ""),
];

/// Minimum width in columns for both remarks in the title and for wide indentation.
const WIDE: u16 = 40;

/// The remark after the panel's name: the number of hidden layers, and the symbol for the layer in use.
fn title(state: &State, area: Rect) -> Option<String> {
    let hidden = Some(state.layers.hidden()).filter(|count| *count > 0).map(|count| format!("{count} hidden "));
    let used = state.layer_param().map(|_| "◆ in use ".to_owned());
    match (hidden, used) {
        (Some(hidden), Some(used)) if area.width >= WIDE => Some(format!("{used}{hidden}")),
        (hidden, used) => hidden.or(used),
    }
}

fn act(state: &mut State, action: A) -> Option<Vec<Effect>> {
    Some(match action {
        A::Choose => choose(state),
        A::Left => fold(state, true),
        A::Right => fold(state, false),
        A::UseOutput => {
            let name = under_cursor(state).map(|row| row.name.clone());
            name.map_or_else(Vec::new, |name| request::choose_layer(state, name))
        }
        A::ShapeArithmetic => show_all(state),
        _ => return None,
    })
}

fn under_cursor(state: &State) -> Option<&TreeRow> {
    state.layers.rows().get(state.cursor(Pane::LAYERS).cursor)
}

/// Uses the layer under the cursor, or toggles the group under the cursor.
fn choose(state: &mut State) -> Vec<Effect> {
    let Some(row) = under_cursor(state).cloned() else { return Vec::new() };
    match row.group {
        Some(seen) => {
            state.layers.fold(&row.name, seen);
            Vec::new()
        }
        None => request::choose_layer(state, row.name),
    }
}

/// Folds or unfolds the group under the cursor. On a layer or a folded group, folding applies to the parent group.
fn fold(state: &mut State, folded: bool) -> Vec<Effect> {
    let Some(row) = under_cursor(state).cloned() else { return Vec::new() };
    let group = match row.group {
        Some(true) => Some(row.name),
        Some(false) if !folded => Some(row.name),
        _ => row.name.rsplit_once('.').map(|(group, _)| group.to_owned()).filter(|_| folded),
    };
    if let Some(group) = group {
        state.layers.fold(&group, folded);
        if let Some(place) = state.layers.rows().iter().position(|r| r.name == group && r.group.is_some()) {
            state.cursor_mut(Pane::LAYERS).go(place);
        }
    }
    Vec::new()
}

/// Shows or hides shape arithmetic. The cursor stays on its layer or group if that is still listed.
fn show_all(state: &mut State) -> Vec<Effect> {
    let row = under_cursor(state).cloned();
    let all = !state.layers.all();
    state.layers.show_all(all);
    let place = |row: TreeRow| {
        let same = |r: &TreeRow| r.name == row.name && r.group.is_some() == row.group.is_some();
        state.layers.rows().iter().position(same)
    };
    if let Some(place) = row.and_then(place) {
        state.cursor_mut(Pane::LAYERS).go(place);
    }
    state.say(if all { "showing shape arithmetic" } else { "hiding shape arithmetic" });
    Vec::new()
}

/// Schedules the layer under the cursor for use once the cursor has rested on it, if the method accepts the layer.
fn rest(state: &mut State) {
    let Some(row) = under_cursor(state) else { return };
    let fits = state.layer_param().is_some_and(|(_, kinds)| kinds.is_empty() || kinds.contains(&row.kind));
    let present = state.layer().as_ref() == Some(&row.name);
    let rest = (Rest::Layer(row.name.clone()), state.now + REST);
    state.resting = (row.group.is_none() && fits && !present).then_some(rest);
}

/// Draws the tree. `◆` marks the layer used by the method. Layers that the method does not accept are dim.
fn draw(buf: &mut Buffer, inner: Rect, state: &State, theme: &Theme, _: &PictureStage) {
    let cursor = state.cursor(Pane::LAYERS);
    let present = state.layer();
    let rows = state.layers.rows();
    for (y, layer) in rows.iter().skip(cursor.offset).take(usize::from(inner.height)).enumerate() {
        let seen = layer.group.is_none() && present.as_ref() == Some(&layer.name);
        let used = seen || state.layers.holds_used(layer);
        let style = if used { theme.warn } else { style(layer, state, theme) };
        let indent = " ".repeat(layer.depth * if inner.width < WIDE { 1 } else { 2 });
        let left = format!("{indent}{} {}", sign(layer, seen), layer.label);
        let room = usize::from(inner.width).saturating_sub(left.chars().count() + 1);
        let (kind, about) = about(layer, room, inner.width >= WIDE);
        let left = Line::from(vec![Span::styled(left, style), Span::styled(kind, theme.dim)]);
        row(buf, inner, y, left, Line::styled(about, style));
        if y + cursor.offset == cursor.cursor {
            mark(buf, inner, y, state.focus == Pane::LAYERS, theme);
        }
    }
    if rows.is_empty() && state.model.is_some() {
        row(buf, inner, 0, Line::styled("no matches; Esc shows all", theme.dim), Line::default());
    }
}

fn sign(layer: &TreeRow, seen: bool) -> &'static str {
    match (layer.group, seen) {
        (Some(true), _) => "▾",
        (Some(false), _) => "▸",
        (None, true) => "◆",
        (None, false) => " ",
    }
}

fn style(layer: &TreeRow, state: &State, theme: &Theme) -> Style {
    let fits = state.layer_param().is_none_or(|(_, kinds)| kinds.is_empty() || kinds.contains(&layer.kind));
    if fits || layer.group.is_some() { Style::new() } else { theme.dim }
}

/// A layer's kind, and its output shape and number of parameters, as far as they fit in `room` columns. Unless `all` is true, the
/// kind is omitted if it is obvious from the label.
fn about(layer: &TreeRow, room: usize, all: bool) -> (String, String) {
    let word = layer.label.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
    let told = layer.kind.is_empty() || (!all && !word.is_empty() && layer.kind.contains(word));
    let kind = if told { String::new() } else { format!(" {}", layer.kind) };
    let shape = shape(&layer.shape);
    let both = format!("{shape}{:>6}", short(layer.parameters));
    let choices = [(&*kind, &*both), (&*kind, &*shape), ("", &*both), ("", &*shape)];
    let fits = |(kind, about): &(&str, &str)| kind.chars().count() + about.chars().count() <= room;
    let (kind, about) = choices.into_iter().find(fits).unwrap_or_default();
    (kind.to_owned(), about.to_owned())
}
