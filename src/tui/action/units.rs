//! Units of the network under the mark: switching them off, and choosing a cell to set a parameter.

use super::request;
use crate::render::Figure;
use crate::tui::effect::{Effect, ask};
use crate::tui::state::State;
use crate::worker::message::Command;

/// Sets the unit under the mark to zero, or restores it. Without a unit under the mark, cancels the computation or says what to do.
pub fn toggle(state: &mut State) -> Vec<Effect> {
    match under_ring(state) {
        Some(unit) => {
            let off = if state.ablated.contains(&unit) { "on" } else { "off" };
            state.say(format!("{unit} {off}"));
            ask(Command::Ablate(Some(unit)))
        }
        None if state.busy.is_some() => request::cancel(state),
        None => {
            state.say("x switches a channel, head or token off: press I and move the ring to one, as in attention or channels");
            Vec::new()
        }
    }
}

/// The unit of the network under the mark, if any.
pub fn under_ring(state: &State) -> Option<String> {
    under_mark(state, |figure, mark| figure.unit_at(mark).map(str::to_owned))
}

/// Sets the parameter that the cell under the mark stands for; `None` if there is no such cell.
pub fn choose(state: &mut State) -> Option<Vec<Effect>> {
    let choice =
        |figure: &Figure, mark| figure.choice_at(mark).map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (name, value) = under_mark(state, choice)?;
    state.say(format!("{name} {value}"));
    Some(request::set(state, name, value))
}

/// The first answer of a visible figure at the mark.
fn under_mark<T>(state: &State, answer: impl Fn(&Figure, (f32, f32)) -> Option<T>) -> Option<T> {
    // The units and values of a gallery belong to other methods than the open one.
    let mark = state.lens.mark.filter(|_| state.gallery.shown.is_none())?;
    state.visible.figures.iter().find_map(|visible| answer(&visible.figure, mark))
}
