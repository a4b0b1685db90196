//! The parameters panel: values and bounds, and the documentation of the parameter under the cursor.

use super::spec::{BLANK, List, Panel, PanelPlace};
use crate::render::short;
use crate::script::summary::{ParamKind, ParamRow};
use crate::tui::action::{file_browser, parameters, pickers};
use crate::tui::effect::Effect;
use crate::tui::event::Key as K;
use crate::tui::keymap::{Action as A, Binding, row as bind};
use crate::tui::picture::PictureStage;
use crate::tui::state::{Pane, Popup, Prompt, State};
use crate::tui::theme::Theme;
use crate::tui::view::widget::{cut, cut_middle, mark, row};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// The parameters panel.
pub const PANEL: Panel = Panel {
    pane: Pane::PARAMETERS,
    place: PanelPlace::Below(|state| Some(state.params().len() as u16 + 1).filter(|rows| *rows > 1)),
    keys: KEYS,
    list: Some(List {
        rows: |state| state.params().len(),
        clickable: true,
        moved: |_| {},
        text: |state, row| state.params().get(row).map_or_else(String::new, |param| param.name.clone()),
        reserved: |_| 0,
    }),
    act,
    draw,
    ..BLANK
};

const KEYS: &[Binding] = &[
    bind(&[K::Enter], A::Choose, "Parameters", "edit the value", "edit"),
    bind(&[K::Left, K::Char('h')], A::Left, "Parameters", "decrease", ""),
    bind(&[K::Right, K::Char('l')], A::Right, "Parameters", "increase", ""),
    bind(&[K::Char('d'), K::Delete], A::Default, "Parameters", "reset to default", "default"),
    bind(&[K::Char('D')], A::Defaults, "Parameters", "reset all", ""),
];

fn act(state: &mut State, action: A) -> Option<Vec<Effect>> {
    Some(match action {
        A::Choose => enter_value(state),
        A::Left => parameters::change(state, -1),
        A::Right => parameters::change(state, 1),
        A::Default => parameters::reset(state),
        A::Defaults => parameters::reset_all(state),
        _ => return None,
    })
}

/// Toggles the parameter under the cursor if it is a switch; otherwise, opens the list of its values or, if there is none, a
/// prompt.
fn enter_value(state: &mut State) -> Vec<Effect> {
    let Some(param) = state.param_under_cursor().cloned() else { return Vec::new() };
    match param.kind {
        ParamKind::Switch => parameters::change(state, 1),
        ParamKind::Array | ParamKind::Pictures => {
            file_browser::goal_of(&param).map_or_else(Vec::new, |goal| file_browser::open(state, goal))
        }
        ParamKind::Choice(_) | ParamKind::Class | ParamKind::Layer(_) => pickers::open_values(state, &param),
        _ => {
            let line = format!("set {} {}", param.name, state.value(&param));
            state.popup = Some(Popup::Prompt(Prompt::command(line)));
            Vec::new()
        }
    }
}

fn draw(buf: &mut Buffer, inner: Rect, state: &State, theme: &Theme, _: &PictureStage) {
    let cursor = state.cursor(Pane::PARAMETERS);
    let params = state.params();
    if params.is_empty() {
        let text = state.method.as_ref().map_or("", |_| "no parameters");
        return row(buf, inner, 0, Line::styled(text, theme.dim), Line::default());
    }
    let room = usize::from(inner.height).saturating_sub(usize::from(usize::from(inner.height) > params.len()));
    let names = params.iter().map(|p| p.name.chars().count()).max().unwrap_or(0).min(14);
    for (y, param) in params.iter().skip(cursor.offset).take(room).enumerate() {
        row(buf, inner, y, line(param, names, state, theme), Line::styled(bounds(param, state), theme.dim));
        if y + cursor.offset == cursor.cursor {
            mark(buf, inner, y, state.focus == Pane::PARAMETERS, theme);
        }
    }
    if let Some(param) = params.get(cursor.cursor).filter(|_| room < usize::from(inner.height)) {
        row(
            buf,
            inner,
            usize::from(inner.height) - 1,
            Line::styled(cut(&param.doc, usize::from(inner.width)), theme.dim),
            Line::default(),
        );
    }
}

/// Name and value of a parameter. An asterisk marks a non-default value.
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
    Line::from(vec![
        Span::raw(format!("{:names$} ", cut_middle(&param.name, names))),
        Span::raw(star),
        Span::styled(value, style),
    ])
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
