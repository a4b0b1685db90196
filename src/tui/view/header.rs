//! The header of the screen: model, picture, method and target on the left; device, graphics and duration on the right.

use super::format;
use super::widget::{cut_middle, put};
use crate::render::Body;
use crate::tui::state::State;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

/// Widths to which names are cut, the first that fits being used.
const NAMES: [usize; 4] = [40, 24, 16, 10];

/// Draws the header. Names are cut, and the right side is shortened, until both sides fit.
pub fn draw(buf: &mut Buffer, area: Rect, state: &State, theme: &Theme) {
    let right: Vec<_> = (0..=3).map(|dropped| right(state, theme, dropped)).collect();
    let fits = |left: &Line, right: &Line| left.width() + right.width() < usize::from(area.width);
    let choices = NAMES.iter().flat_map(|names| right.iter().map(move |right| (*names, right)));
    let all: Vec<_> = choices.map(|(names, right)| (left(state, theme, names), right)).collect();
    let Some((left, right)) = all.iter().find(|(l, r)| fits(l, r)).or(all.last()) else { return };
    put(buf, (area.x, area.y), left.clone(), area.width);
    let room = (right.width() as u16).min(area.width.saturating_sub(left.width() as u16));
    put(buf, (area.right() - room, area.y), (*right).clone(), room);
}

/// The model, the picture, the method, the target and the verdicts. Names have at most `names` characters.
fn left(state: &State, theme: &Theme, names: usize) -> Line<'static> {
    let model = state.model.as_ref().map_or("no model", |m| &m.name);
    let picture = state.picture.as_ref().map_or("no picture", |p| short(&p.name));
    let method = state.method_row().map_or("no method", |m| m.title());
    let mut spans = vec![Span::styled(" gradscope ", Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD))];
    for (part, before) in [(model, "  "), (picture, " · "), (method, " · ")] {
        spans.push(Span::styled(before, theme.dim));
        spans.push(Span::styled(cut_middle(part, names).into_owned(), theme.strong));
    }
    spans.push(Span::styled(" → ", theme.dim));
    spans.push(Span::styled(target(state, names), theme.warn));
    match &state.ablated[..] {
        [] => {}
        [unit] => spans.push(Span::styled(format!("  {} off", cut_middle(unit, names)), theme.warn)),
        units => spans.push(Span::styled(format!("  {} units off", units.len()), theme.warn)),
    }
    if state.branches.count > 1 {
        spans.push(Span::styled("  branch ", theme.dim));
        spans.push(Span::styled(format!("{} of {}", state.branches.name(), state.branches.count), theme.warn));
    }
    spans.extend(badges(state, theme));
    Line::from(spans)
}

/// The target with its probability.
fn target(state: &State, names: usize) -> String {
    let name = state.target_label().unwrap_or_else(|| "top class".to_owned());
    let name = cut_middle(&name, names).into_owned();
    let target = state.target_class();
    match state.classes().iter().find(|row| Some(row.class) == target) {
        Some(row) => format!("{name} {:.1}%", row.probability * 100.0),
        None => name,
    }
}

/// The sources of the preprocessing, the device, the graphics and the duration of the last run, without the first `dropped` of them.
fn right(state: &State, theme: &Theme, dropped: usize) -> Line<'static> {
    let origins = state.model.as_ref().map(|model| model.origins.join(", ")).filter(|origins| !origins.is_empty());
    let parts = [
        origins.map(|origins| format!("card {origins}")),
        (!state.graphics.is_empty()).then(|| state.graphics.clone()),
        state.model.as_ref().map(|model| model.device.clone()),
    ];
    let took = state.run.frame.as_ref().filter(|_| !state.stale()).map(|frame| format::millis(frame.millis));
    let parts: Vec<_> = parts.into_iter().skip(dropped).flatten().chain(took.filter(|_| dropped < 3)).collect();
    Line::styled(if parts.is_empty() { String::new() } else { format!("{} ", parts.join(" · ")) }, theme.dim)
}

/// Header spans for the badge figures of the current frame. At step 0 of an attack there is no verdict yet.
fn badges(state: &State, theme: &Theme) -> Vec<Span<'static>> {
    let begun = |frame: &&crate::script::summary::Frame| frame.step > 0 || !state.stepped();
    let figures = state.run.frame.iter().filter(|_| !state.run.foreign).filter(begun).flat_map(|f| &f.figures);
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
