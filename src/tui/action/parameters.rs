//! Changes the parameter under the cursor.

use super::{param_step, request};
use crate::script::summary::{ParamKind, ParamRow};
use crate::tui::effect::Effect;
use crate::tui::state::State;

/// Changes the parameter under the cursor by `by` notches.
pub fn change(state: &mut State, by: i32) -> Vec<Effect> {
    alter(state, |kind, value, names, classes| param_step::notched(kind, value, by, names, classes))
}

/// Multiplies the parameter under the cursor by `10^by`.
pub fn tenfold(state: &mut State, by: i32) -> Vec<Effect> {
    alter(state, |kind, value, _, _| param_step::tenfold(kind, value, by))
}

/// Resets the parameter under the cursor to its default.
pub fn reset(state: &mut State) -> Vec<Effect> {
    let param = state.param_under_cursor().filter(|p| state.value(p) != p.default).cloned();
    param.map_or_else(Vec::new, |p| request::set(state, p.name, p.default))
}

/// Resets all parameters to their defaults.
pub fn reset_all(state: &mut State) -> Vec<Effect> {
    let changed: Vec<ParamRow> = state.params().iter().filter(|p| state.value(p) != p.default).cloned().collect();
    changed.into_iter().flat_map(|p| request::set(state, p.name, p.default)).collect()
}

fn alter(state: &mut State, new: impl Fn(&ParamKind, &str, &[String], usize) -> Option<String>) -> Vec<Effect> {
    let Some(param) = state.param_under_cursor() else { return Vec::new() };
    let names = match &param.kind {
        ParamKind::Layer(kinds) => state.values_of(param, kinds),
        _ => Vec::new(),
    };
    let classes = state.model.as_ref().map_or(0, |m| m.labels.len());
    let value = match &param.kind {
        ParamKind::Layer(_) => state.layer().unwrap_or_default(),
        _ => state.value(param).to_owned(),
    };
    let name = param.name.clone();
    new(&param.kind, &value, &names, classes).map_or_else(Vec::new, |value| request::set(state, name, value))
}
