//! Keymaps: actions, the keys bound to them, and the user's own bindings.

mod action;
mod binding;
mod bindings;
mod everywhere;

pub use action::Action;
pub use binding::{Binding, find, row};
pub use bindings::{Bindings, Bound};
pub use everywhere::EVERYWHERE;
