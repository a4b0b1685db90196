//! The layer of the focused panel.

use crate::tui::event::{Key, Mouse};
use crate::tui::keymap::{self, Action, Bound};
use crate::tui::layer::{Handled, Layer};
use crate::tui::layout;
use crate::tui::panel;
use crate::tui::state::State;

/// The screen layer of the focused panel. It ignores text and leaves clicks, which focus panels, to
/// [`everywhere`](super::everywhere).
pub const LAYER: Layer = Layer { keys, find, act, text: |_, _| None, point: |_, _: Mouse, _| None, modal: false };

/// A number of rows larger than the length of any list.
const FAR: i32 = 100_000;

fn keys(state: &State) -> Vec<Bound> {
    panel::keys(panel::of(state.focus), state)
}

fn find(state: &State, key: Key) -> Option<Action> {
    let free = state.bindings.own(key).is_none();
    keymap::find(panel::of(state.focus).keys, key).filter(|_| free)
}

fn act(state: &mut State, action: Action) -> Handled {
    let panel = panel::of(state.focus);
    let by = match action {
        Action::Move(by) => by,
        Action::Page(by) => by * (layout::areas(state).rows(state.focus) / 2).max(1) as i32,
        Action::Top => -FAR,
        Action::Bottom => FAR,
        other => return (panel.act)(state, other),
    };
    Some(panel::step(state, panel, by))
}
