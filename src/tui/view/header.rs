//! The header of the screen: model, picture, method and target class.

use super::widget::put;
use crate::render::Body;
use crate::tui::state::State;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

/// Draws the header, with a label before each value if the labels fit.
pub fn draw(buf: &mut Buffer, area: Rect, state: &State, theme: &Theme) {
    let named = line(state, theme, true);
    let line = if named.width() <= usize::from(area.width) { named } else { line(state, theme, false) };
    put(buf, (area.x, area.y), line, area.width);
}

fn line(state: &State, theme: &Theme, named: bool) -> Line<'static> {
    let model = state.model.as_ref().map_or("no model", |m| &m.name);
    let picture = state.picture.as_ref().map_or("no picture", |p| &p.name);
    let method = state.method.as_ref().map_or("no method", |m| &m.name);
    let target = match state.target_class() {
        Some(class) => format!("{class} {}", state.label(class)),
        None => state.target_label().unwrap_or_else(|| "top class".to_owned()),
    };
    let parts = [("model", model), ("picture", short(picture)), ("method", method), ("target", &target)];
    let mut spans = vec![Span::styled(" gradscope ", Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD))];
    for (index, (name, value)) in parts.iter().enumerate() {
        match (named, index) {
            (true, _) => spans.push(Span::styled(format!("  {name} "), theme.dim)),
            (false, 0) => spans.push(Span::raw(" ")),
            (false, 3) => spans.push(Span::raw(" → ")),
            (false, _) => spans.push(Span::raw(" · ")),
        }
        spans.push(Span::styled((*value).to_owned(), theme.strong));
        if index == 0 && named {
            spans.extend(card(state, theme));
        }
    }
    if named {
        spans.push(Span::styled("  colors ", theme.dim));
        spans.push(Span::styled(state.lens.overlay.colors.name(), theme.strong));
    }
    match &state.ablated[..] {
        [] => {}
        [unit] => spans.push(Span::styled(format!("  {unit} off"), theme.warn)),
        units => spans.push(Span::styled(format!("  {} units off", units.len()), theme.warn)),
    }
    if state.branches.count > 1 {
        spans.push(Span::styled("  branch ", theme.dim));
        spans.push(Span::styled(format!("{} of {}", state.branches.name(), state.branches.count), theme.warn));
    }
    spans.extend(badges(state, theme));
    Line::from(spans)
}

/// Header spans for the sources of the network's preprocessing and class names; none if the architecture is the only source.
fn card(state: &State, theme: &Theme) -> Vec<Span<'static>> {
    match state.model.as_ref().map_or(&[][..], |model| &model.origins) {
        [] => Vec::new(),
        origins => vec![Span::styled("  card ", theme.dim), Span::styled(origins.join(", "), theme.strong)],
    }
}

/// Header spans for the badge figures of the current frame.
fn badges(state: &State, theme: &Theme) -> Vec<Span<'static>> {
    let figures = state.run.frame.iter().filter(|_| !state.run.foreign).flat_map(|f| &f.figures);
    let verdict = |body: &Body| match body {
        Body::Badge { text, good } => {
            let (sign, style) = if *good { ("✓", theme.good) } else { ("✗", theme.bad) };
            Some(Span::styled(format!("  {sign} {text}"), style))
        }
        _ => None,
    };
    figures.filter_map(|f| verdict(&f.body)).collect()
}

/// The last component of a path.
fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
