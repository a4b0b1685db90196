//! What keys and answers do to branches.

use super::act::ask;
use super::branches::Shown;
use super::msg::Effect;
use super::state::State;
use crate::script::message::{Command, Frame};
use crate::script::worker::letter;

/// Another branch is open, or there are more or fewer.
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
        state.say(format!("branch {} of {count}: b turns, v shows two side by side, :close ends it", letter(at)));
    }
}

/// Keeps what the open branch shows.
pub fn keep(state: &mut State, frame: &Frame) {
    let at = state.branches.at;
    let name = caption(state, frame);
    if let Some(place) = state.branches.shown.get_mut(at) {
        *place = Some(Shown { name, frame: frame.clone(), id: state.run.id });
    }
}

/// What an answer of the open branch is called beside others: letter, method, and its step or its class.
pub fn caption(state: &State, frame: &Frame) -> String {
    let method = state.method.as_ref().map_or("", |m| &m.name);
    let about = match (state.stepped(), state.target) {
        (true, _) => format!("step {}", frame.step),
        (false, Some(class)) => format!("→ {}", state.label(class)),
        (false, None) => String::new(),
    };
    format!("{} {method} {about}", state.branches.name())
}

/// Opens the branch so many places on.
pub fn turn(state: &mut State, by: i32) -> Vec<Effect> {
    let (at, count) = (state.branches.at as i32, state.branches.count as i32);
    if count < 2 {
        state.say("there is one branch only; f begins another");
        return Vec::new();
    }
    ask(Command::Branch((at + by).rem_euclid(count) as usize))
}

/// Shows the branch before beside the open one, or no more.
pub fn compare(state: &mut State) -> Vec<Effect> {
    if state.branches.count < 2 {
        state.say("there is one branch only; f begins another");
        return Vec::new();
    }
    state.branches.compared = !state.branches.compared;
    Vec::new()
}
