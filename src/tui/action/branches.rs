//! Opens, compares and closes the branches of a run.

use crate::script::summary::Frame;
use crate::tui::effect::{Effect, ask};
use crate::tui::state::{ShownBranch, State};
use crate::worker::letter;
use crate::worker::message::Command;

/// Updates the state after another branch was opened or the number of branches changed.
pub fn open(state: &mut State, at: usize, count: usize) {
    let branches = &mut state.branches;
    let was = branches.at;
    if count < branches.count {
        branches.shown.remove(was.min(branches.shown.len() - 1));
        branches.before = (0..count).rev().find(|other| *other != at).unwrap_or(0);
    } else if at != was {
        branches.before = was;
    }
    if count > branches.count {
        let like = branches.shown.get(was).cloned().flatten();
        branches.shown.resize(count, like);
    }
    (branches.at, branches.count) = (at, count);
    branches.compared &= count > 1;
    state.run.playing = false;
    state.run.history.clear();
    if count > 1 {
        state.say(format!("branch {} of {count}: b switches, v compares, :close closes", letter(at)));
    }
}

/// Stores the latest frame of the open branch.
pub fn keep(state: &mut State, frame: &Frame) {
    let at = state.branches.at;
    let name = caption(state, frame);
    if let Some(place) = state.branches.shown.get_mut(at) {
        *place = Some(ShownBranch { name, frame: frame.clone(), id: state.run.id });
    }
}

/// Caption of the open branch in a comparison: letter, method, and step or class.
pub fn caption(state: &State, frame: &Frame) -> String {
    let method = state.method.as_ref().map_or("", |m| &m.name);
    let about = match (state.stepped(), state.target_label()) {
        (true, _) => format!("step {}", frame.step),
        (false, Some(target)) => format!("→ {target}"),
        (false, None) => String::new(),
    };
    format!("{} {method} {about}", state.branches.name())
}

/// Moves `by` branches forward from the open one, wrapping around.
pub fn turn(state: &mut State, by: i32) -> Vec<Effect> {
    let (at, count) = (state.branches.at as i32, state.branches.count as i32);
    if count < 2 {
        state.say("there is only one branch; press f to fork another");
        return Vec::new();
    }
    ask(Command::Branch((at + by).rem_euclid(count) as usize))
}

/// Shows the previously open branch next to the open one, or hides it.
pub fn compare(state: &mut State) -> Vec<Effect> {
    if state.branches.count < 2 {
        state.say("there is only one branch; press f to fork another");
        return Vec::new();
    }
    state.branches.compared = !state.branches.compared;
    Vec::new()
}
