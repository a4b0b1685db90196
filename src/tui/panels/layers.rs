//! The pane of layers: a tree with shapes and parameter counts.

use super::{mark, pane, row};
use crate::tui::state::{Pane, State};
use crate::tui::theme::Theme;
use crate::tui::tree::{TreeRow, shape, short};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Draws it: `◆` stands before the layer that the method looks at; what it cannot look at is dim.
pub fn draw(buf: &mut Buffer, area: Rect, state: &State, theme: &Theme) {
    let title = match (state.layer_filter.as_str(), state.layer_param()) {
        ("", Some(_)) => vec![Span::styled("◆ seen by it ", theme.frame)],
        ("", None) => Vec::new(),
        (text, _) => vec![Span::styled(format!("/{text} "), theme.warn)],
    };
    let inner = pane(buf, area, Pane::Layers, title, state, theme);
    let present = state.layer();
    let rows = state.layers.rows();
    for (y, layer) in rows.iter().skip(state.layer_list.offset).take(usize::from(inner.height)).enumerate() {
        let seen = layer.group.is_none() && present.as_ref() == Some(&layer.name);
        let style = if seen { theme.warn } else { style(layer, state, theme) };
        let left = format!("{}{} {}", "  ".repeat(layer.depth), sign(layer, seen), layer.label);
        let room = usize::from(inner.width).saturating_sub(left.chars().count() + 1);
        row(buf, inner, y, Line::styled(left, style), Line::styled(about(layer, room), style));
        if y + state.layer_list.offset == state.layer_list.cursor {
            mark(buf, inner, y, state.focus == Pane::Layers, theme);
        }
    }
    if rows.is_empty() && state.model.is_some() {
        row(buf, inner, 0, Line::styled("none fits; Esc shows all", theme.dim), Line::default());
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

/// Its shape, and the number of its parameters, where there is room.
fn about(layer: &TreeRow, room: usize) -> String {
    let shape = shape(&layer.shape);
    let both = format!("{shape}{:>6}", short(layer.parameters));
    [both, shape].into_iter().find(|text| text.chars().count() <= room).unwrap_or_default()
}
