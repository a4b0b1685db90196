//! A layer of the screen, which handles keys, text and mouse events before the layers below it.

use super::effect::Effect;
use super::event::{Key, Mouse};
use super::keymap::{Action, Bound};
use super::state::State;

/// The effects of an event that a layer consumed; `None` if it ignored the event, which then goes to the next layer.
pub type Handled = Option<Vec<Effect>>;

/// A layer of the screen.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// The keys, for the help and the hints.
    pub keys: fn(&State) -> Vec<Bound>,
    /// Looks up the action of a key.
    pub find: fn(&State, Key) -> Option<Action>,
    /// Performs an action.
    pub act: fn(&mut State, Action) -> Handled,
    /// Handles typed or pasted text.
    pub text: fn(&mut State, &str) -> Handled,
    /// Handles a mouse event at a column and row.
    pub point: fn(&mut State, Mouse, (u16, u16)) -> Handled,
    /// Whether unbound characters are typed into it, and no key reaches the layers below.
    pub modal: bool,
}
