//! Filters the list of methods or layers while the user types.

use super::request;
use crate::tui::effect::Effect;
use crate::tui::state::{Pane, Popup, Prompt, State};

/// Opens the filter prompt for layers if their panel is focused, otherwise for methods.
pub fn open(state: &mut State) -> Vec<Effect> {
    let text = match state.focus {
        Pane::LAYERS => state.layer_filter.clone(),
        _ => {
            state.focus = Pane::METHODS;
            state.method_filter.clone()
        }
    };
    state.popup = Some(Popup::Prompt(Prompt::filter(text)));
    Vec::new()
}

/// Filters layers if their panel is focused, otherwise methods, showing only rows that match `text`.
pub fn narrow(state: &mut State, text: &str) {
    if state.focus == Pane::LAYERS {
        state.layers.filter(text);
        state.layer_filter = text.to_owned();
    } else {
        state.method_filter = text.to_owned();
        let best = state.best_listed();
        state.cursor_mut(Pane::METHODS).go(best);
    }
}

/// Accepts the filter. If methods were filtered, runs the method under the cursor unless it is already current.
pub fn accept(state: &mut State) -> Vec<Effect> {
    let filtered = state.focus == Pane::METHODS && !state.method_filter.is_empty();
    let name = state.method_under_cursor().filter(|_| filtered).map(|m| m.name.clone());
    let other = name.filter(|name| state.method.as_ref().is_none_or(|m| m.name != *name));
    other.map_or_else(Vec::new, |name| request::run_method(state, name))
}
