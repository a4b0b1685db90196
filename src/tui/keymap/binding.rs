//! A row of a keymap: the keys, their action, and its description in the help.

use super::action::Action;
use crate::tui::event::Key;
use std::borrow::Cow;

/// A row of a keymap.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The keys; each of them triggers the action.
    pub keys: &'static [Key],
    /// The action.
    pub action: Action,
    /// The section of the help that lists it.
    pub section: &'static str,
    /// A description for the help.
    pub says: Cow<'static, str>,
    /// A one-word hint for the status line; empty if not shown there.
    pub hint: &'static str,
}

/// The action of the row with this key.
pub fn find(rows: &[Binding], key: Key) -> Option<Action> {
    rows.iter().find(|row| row.keys.contains(&key)).map(|row| row.action)
}

/// A row of a keymap.
pub const fn row(
    keys: &'static [Key],
    action: Action,
    section: &'static str,
    says: &'static str,
    hint: &'static str,
) -> Binding {
    Binding { keys, action, section, says: Cow::Borrowed(says), hint }
}
