//! Moves through the steps of a method.

use crate::tui::effect::{Effect, ask};
use crate::tui::keymap::Action;
use crate::tui::state::State;
use crate::worker::message::Command;

/// Plays the steps of the method, or pauses.
pub fn play(state: &mut State) -> Vec<Effect> {
    if !has_steps(state) {
        return Vec::new();
    }
    state.run.playing = !state.run.playing;
    state.run.settling = None;
    ask(if state.run.playing { Command::Play } else { Command::Pause })
}

/// Moves forward or back by a number of steps, or to the first or last step.
pub fn go(state: &mut State, action: Action) -> Vec<Effect> {
    if !has_steps(state) {
        return Vec::new();
    }
    let (step, kept) = state.run.frame.as_ref().map_or((0, 1), |f| (f.step, f.kept));
    match action {
        Action::Step(1) => ask(Command::Step),
        Action::Step(-1) => ask(Command::Back),
        Action::Step(by) if step.saturating_add_signed(by as isize) < kept => {
            ask(Command::Seek(step.saturating_add_signed(by as isize)))
        }
        Action::Step(by) => (0..by).map(|_| Effect::Ask(Command::Step)).collect(),
        Action::First => ask(Command::Seek(0)),
        _ => ask(Command::Seek(kept.saturating_sub(1))),
    }
}

/// Goes to `step`, unless it is `None` or the method has no steps.
pub fn seek(state: &State, step: Option<usize>) -> Vec<Effect> {
    step.filter(|_| state.stepped()).map_or_else(Vec::new, |step| ask(Command::Seek(step)))
}

fn has_steps(state: &mut State) -> bool {
    if !state.stepped() {
        let method = state.method.as_ref().map_or("the method", |m| m.name.as_str()).to_owned();
        state.say(format!("{method} has no steps"));
    }
    state.stepped()
}
