//! Searches the lists that are not filtered.

use super::{List, of, step};
use crate::tui::effect::Effect;
use crate::tui::state::{Pane, State};

/// The focused panel's list, if it is searched instead of filtered.
pub fn list(state: &State) -> Option<&'static List> {
    let filtered = [Pane::METHODS, Pane::LAYERS].contains(&state.focus);
    of(state.focus).list.as_ref().filter(|_| !filtered)
}

/// Moves to the first match in the focused panel's list.
pub fn narrow(state: &mut State, text: &str) {
    state.search = (!text.is_empty()).then(|| (state.focus, text.to_lowercase()));
    go_to_match(state, 0, 1);
}

/// Moves to the next match of the search, or the previous one if `by` is negative. A filtered list has only matches.
pub fn next(state: &mut State, by: i32) -> Vec<Effect> {
    let filtered = match state.focus {
        Pane::METHODS => !state.method_filter.is_empty(),
        Pane::LAYERS => !state.layer_filter.is_empty(),
        _ => false,
    };
    if filtered {
        return step(state, of(state.focus), by);
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
    let Some((list, (pane, text))) = list(state).zip(state.search.clone()) else { return };
    let count = (list.rows)(state);
    let now = state.cursor(pane).cursor;
    let row = |away: usize| if by < 0 { (now + count - away % count) % count } else { (now + away) % count };
    let found = (skip..count + skip).map(row).find(|row| (list.text)(state, *row).to_lowercase().contains(&text));
    match found {
        Some(found) => state.cursor_mut(pane).go(found),
        None => state.say(format!("no match for \"{text}\"")),
    }
}
