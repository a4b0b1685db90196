//! Opens, compares and closes the branches of a run.

use crate::script::summary::Frame;
use crate::tui::effect::{Effect, ask};
use crate::tui::state::{BranchSettings, ShownBranch, State};
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
    if count > 1 && !state.branches.compared {
        state.say(format!("branch {} of {count}: b switches, v compares, :close closes", letter(at)));
    }
}

/// Stores the latest frame of the open branch, with what it runs.
pub fn keep(state: &mut State, frame: &Frame) {
    let at = state.branches.at;
    let settings = settings(state, frame);
    let history = state.run.history.clone();
    if let Some(place) = state.branches.shown.get_mut(at) {
        *place = Some(ShownBranch { settings, history, frame: frame.clone(), id: state.run.id });
    }
}

fn settings(state: &State, frame: &Frame) -> BranchSettings {
    BranchSettings {
        model: state.model.as_ref().map_or_else(String::new, |model| model.name.clone()),
        picture: state.picture.as_ref().map_or_else(String::new, |picture| picture.name.clone()),
        method: state.method_row().map_or_else(String::new, |method| method.title().to_owned()),
        target: state.target_label().unwrap_or_default(),
        params: state.params().iter().map(|param| (param.name.clone(), state.value(param).to_owned())).collect(),
        stepped: state.stepped(),
        step: frame.step,
    }
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

/// Shows the previously open branch next to the open one, or hides it. If there is only one branch, forks another to compare with.
pub fn compare(state: &mut State) -> Vec<Effect> {
    if state.branches.count < 2 {
        state.branches.compared = true;
        state.say("comparing: A stays as it is, your changes apply to B");
        return ask(Command::Fork);
    }
    state.branches.compared = !state.branches.compared;
    Vec::new()
}
