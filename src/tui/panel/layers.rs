//! The layers panel: a tree with output shapes and parameter counts.

use super::spec::{BLANK, Height, List, Panel, PanelPlace, Small};
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
    place: PanelPlace::Left(Height::Rest),
    small: Small::Left,
    keys: KEYS,
    list: Some(List { rows: |state| state.layers.rows().len(), clickable: true, moved: rest }),
    act,
    title: |state, theme, _| match (state.layer_filter.as_str(), state.layer_param()) {
        ("", Some(_)) => vec![Span::styled("◆ in use ", theme.frame)],
        ("", None) => Vec::new(),
        (text, _) => vec![Span::styled(format!("/{text} "), theme.warn)],
    },
    draw,
    ..BLANK
};

const KEYS: &[Binding] = &[
    bind(&[K::Enter], A::Choose, "Layers", "use the layer, or fold", "choose"),
    bind(&[K::Left], A::Left, "Layers", "fold", ""),
    bind(&[K::Right], A::Right, "Layers", "unfold", ""),
];

fn act(state: &mut State, action: A) -> Option<Vec<Effect>> {
    Some(match action {
        A::Choose => choose(state),
        A::Left => fold(state, true),
        A::Right => fold(state, false),
        _ => return None,
    })
}

fn under_cursor(state: &State) -> Option<&TreeRow> {
    state.layers.rows().get(state.cursor(Pane::LAYERS).cursor)
}

/// Uses the layer under the cursor, or folds or unfolds the group under the cursor.
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

/// Folds or unfolds the group under the cursor. On a layer or a folded group, folding folds the group that contains it.
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

/// Schedules the layer under the cursor to be used once the cursor has rested on it, if the method can use it.
fn rest(state: &mut State) {
    let Some(row) = under_cursor(state) else { return };
    let fits = state.layer_param().is_some_and(|(_, kinds)| kinds.is_empty() || kinds.contains(&row.kind));
    let present = state.layer().as_ref() == Some(&row.name);
    let rest = (Rest::Layer(row.name.clone()), state.now + REST);
    state.resting = (row.group.is_none() && fits && !present).then_some(rest);
}

/// Draws the tree; `◆` marks the layer that the method uses, and layers that the method cannot use are dim.
fn draw(buf: &mut Buffer, inner: Rect, state: &State, theme: &Theme, _: &PictureStage) {
    let cursor = state.cursor(Pane::LAYERS);
    let present = state.layer();
    let rows = state.layers.rows();
    for (y, layer) in rows.iter().skip(cursor.offset).take(usize::from(inner.height)).enumerate() {
        let seen = layer.group.is_none() && present.as_ref() == Some(&layer.name);
        let style = if seen { theme.warn } else { style(layer, state, theme) };
        let left = format!("{}{} {}", "  ".repeat(layer.depth), sign(layer, seen), layer.label);
        let room = usize::from(inner.width).saturating_sub(left.chars().count() + 1);
        row(buf, inner, y, Line::styled(left, style), Line::styled(about(layer, room), style));
        if y + cursor.offset == cursor.cursor {
            mark(buf, inner, y, state.focus == Pane::LAYERS, theme);
        }
    }
    if rows.is_empty() && state.model.is_some() {
        row(buf, inner, 0, Line::styled("no match; Esc shows all", theme.dim), Line::default());
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

/// Output shape and number of parameters of a layer, or only its shape if both do not fit; empty if neither fits.
fn about(layer: &TreeRow, room: usize) -> String {
    let shape = shape(&layer.shape);
    let both = format!("{shape}{:>6}", short(layer.parameters));
    [both, shape].into_iter().find(|text| text.chars().count() <= room).unwrap_or_default()
}
