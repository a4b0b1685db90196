//! Layers of the screen. Each handles keys, text and mouse events before the layers below it.

use super::effect::Effect;
use super::event::{Key, Mouse};
use super::keymap::{Action, Bound};
use super::state::State;

/// Effects of an event consumed by a layer; `None` if the layer ignored the event, which then goes to the next layer.
pub type Handled = Option<Vec<Effect>>;

/// A layer of the screen, which handles events before the layers below it.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// The layer's keys, for the help and hints.
    pub keys: fn(&State) -> Vec<Bound>,
    /// Looks up the action triggered by a key.
    pub find: fn(&State, Key) -> Option<Action>,
    /// Performs an action; `None` if the layer ignores it.
    pub act: fn(&mut State, Action) -> Handled,
    /// Handles typed or pasted text; `None` if the layer ignores it.
    pub text: fn(&mut State, &str) -> Handled,
    /// Handles a mouse event at a column and row; `None` if the layer ignores it.
    pub point: fn(&mut State, Mouse, (u16, u16)) -> Handled,
    /// Whether the layer treats unbound characters as typed text and captures all keys.
    pub modal: bool,
}
