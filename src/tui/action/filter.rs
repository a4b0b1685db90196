//! Filters the list of methods or layers while the user types, and searches the other lists.

use super::request;
use crate::tui::effect::Effect;
use crate::tui::panel::{self, List};
use crate::tui::state::{Pane, Popup, Prompt, State};

/// Opens the prompt for filtering or searching the focused panel's list, or the methods if it has none.
pub fn open(state: &mut State) -> Vec<Effect> {
    let text = match state.focus {
        Pane::LAYERS => state.layer_filter.clone(),
        _ if searched(state).is_some() => String::new(),
        _ => {
            state.focus = Pane::METHODS;
            state.method_filter.clone()
        }
    };
    state.popup = Some(Popup::Prompt(Prompt::filter(text)));
    Vec::new()
}

/// The focused panel's list, if it is searched instead of filtered.
fn searched(state: &State) -> Option<&'static List> {
    let filtered = [Pane::METHODS, Pane::LAYERS].contains(&state.focus);
    panel::of(state.focus).list.as_ref().filter(|_| !filtered)
}

/// Filters the list of layers or methods, or moves to the first match in another list.
pub fn narrow(state: &mut State, text: &str) {
    if searched(state).is_some() {
        state.search = (!text.is_empty()).then(|| (state.focus, text.to_lowercase()));
        go_to_match(state, 0, 1);
    } else if state.focus == Pane::LAYERS {
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

/// Moves to the next match of the search, or the previous one if `by` is negative. A filtered list has only matches.
pub fn next(state: &mut State, by: i32) -> Vec<Effect> {
    let filtered = match state.focus {
        Pane::METHODS => !state.method_filter.is_empty(),
        Pane::LAYERS => !state.layer_filter.is_empty(),
        _ => false,
    };
    if filtered {
        return panel::step(state, panel::of(state.focus), by);
    }
    if state.search.is_none() {
        state.say("nothing to find: / finds in a list; . and , go to the next and previous step");
        return Vec::new();
    }
    if let Some((pane, _)) = &state.search {
        state.focus = *pane;
    }
    go_to_match(state, 1, by);
    Vec::new()
}

/// Moves the cursor of the searched list to the first match that is at least `skip` rows away in the direction of `by`, wrapping around.
fn go_to_match(state: &mut State, skip: usize, by: i32) {
    let Some((list, (pane, text))) = searched(state).zip(state.search.clone()) else { return };
    let count = (list.rows)(state);
    let now = state.cursor(pane).cursor;
    let row = |away: usize| if by < 0 { (now + count - away % count) % count } else { (now + away) % count };
    let found = (skip..count + skip).map(row).find(|row| (list.text)(state, *row).to_lowercase().contains(&text));
    match found {
        Some(found) => state.cursor_mut(pane).go(found),
        None => state.say(format!("no match for \"{text}\"")),
    }
}
