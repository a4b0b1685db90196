//! A layer of the screen: what takes keys, text and the mouse before the layers below it.

use super::effect::Effect;
use super::event::{Key, Mouse};
use super::keymap::{Action, Bound};
use super::state::State;

/// The effects of what a layer consumed; `None` if it ignored it, so that the next layer is asked.
pub type Handled = Option<Vec<Effect>>;

/// A layer of the screen.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// Its keys, for help and hints.
    pub keys: fn(&State) -> Vec<Bound>,
    /// The action that it binds a key to.
    pub find: fn(&State, Key) -> Option<Action>,
    /// Performs an action.
    pub act: fn(&mut State, Action) -> Handled,
    /// Takes text that was typed or pasted.
    pub text: fn(&mut State, &str) -> Handled,
    /// Takes a mouse event at a column and a row.
    pub point: fn(&mut State, Mouse, (u16, u16)) -> Handled,
    /// Whether letters that are bound to nothing are typed into it, and no key reaches the layers below.
    pub modal: bool,
}
