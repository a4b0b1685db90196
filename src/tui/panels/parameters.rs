//! The pane of parameters: a form with bounds, and what the one under the cursor does.

use super::{mark, pane, row};
use crate::render::short;
use crate::script::message::{ParamKind, ParamRow};
use crate::tui::state::{Pane, State};
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws it.
pub fn draw(buf: &mut Buffer, area: Rect, state: &State, theme: &Theme) {
    let inner = pane(buf, area, Pane::Parameters, Vec::new(), state, theme);
    let params = state.params();
    if params.is_empty() {
        let text = state.method.as_ref().map_or("", |_| "it has none");
        return row(buf, inner, 0, Line::styled(text, theme.dim), Line::default());
    }
    let room = usize::from(inner.height).saturating_sub(usize::from(usize::from(inner.height) > params.len()));
    let names = params.iter().map(|p| p.name.chars().count()).max().unwrap_or(0).min(14);
    for (y, param) in params.iter().skip(state.param_list.offset).take(room).enumerate() {
        row(buf, inner, y, line(param, names, state, theme), Line::styled(bounds(param, state), theme.dim));
        if y + state.param_list.offset == state.param_list.cursor {
            mark(buf, inner, y, state.focus == Pane::Parameters, theme);
        }
    }
    if let Some(param) = params.get(state.param_list.cursor).filter(|_| room < usize::from(inner.height)) {
        row(buf, inner, usize::from(inner.height) - 1, Line::styled(param.doc.clone(), theme.dim), Line::default());
    }
}

/// Name, value, and a star when it is not the default.
fn line<'a>(param: &'a ParamRow, names: usize, state: &'a State, theme: &Theme) -> Line<'a> {
    let value = match (&param.kind, state.value(param)) {
        (ParamKind::Switch, value) => if value == "true" { "[x]" } else { "[ ]" }.to_owned(),
        (ParamKind::Class, value) => {
            value.parse().map_or_else(|_| "none".into(), |c| format!("{c} {}", state.label(c)))
        }
        (_, "") => "none".into(),
        (ParamKind::Layer(_), value) => state.layer().unwrap_or_else(|| value.to_owned()),
        (_, value) => value.to_owned(),
    };
    let used = state.run.frame.iter().flat_map(|frame| &frame.used).find(|(name, _)| *name == param.name);
    let value = match used {
        Some((_, used)) if *used != param.value && *used != value => format!("{value} ({} used)", short(used)),
        _ => value,
    };
    let changed = state.value(param) != param.default;
    let style = if changed { theme.warn } else { theme.strong };
    let star = if changed { "*" } else { " " };
    Line::from(vec![Span::raw(format!("{:names$} ", param.name)), Span::raw(star), Span::styled(value, style)])
}

fn bounds(param: &ParamRow, state: &State) -> String {
    match &param.kind {
        ParamKind::Number(low, high) => format!("{low}…{high}"),
        ParamKind::Integer(low, high) => format!("{low}…{high}"),
        ParamKind::Pixels(low, high) => format!("/255  {low}…{high}"),
        ParamKind::Choice(choices) => {
            let all = choices.join("|");
            if all.chars().count() <= 18 { all } else { format!("{} choices", choices.len()) }
        }
        ParamKind::Layer(kinds) if state.layer().is_some() => kinds.join("|"),
        _ => String::new(),
    }
}
