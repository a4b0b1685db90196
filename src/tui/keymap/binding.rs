//! Rows of keymaps: keys, their action, and its description in the help.

use super::action::Action;
use crate::tui::event::Key;
use std::borrow::Cow;

/// A row of a keymap.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Keys, each of which triggers the action.
    pub keys: &'static [Key],
    /// The action triggered by the keys.
    pub action: Action,
    /// Help section that lists the row.
    pub section: &'static str,
    /// Description of the action in the help.
    pub says: Cow<'static, str>,
    /// One-word hint for the status line; empty for none.
    pub hint: &'static str,
}

/// The action triggered by a key according to `rows`, if any.
pub fn find(rows: &[Binding], key: Key) -> Option<Action> {
    rows.iter().find(|row| row.keys.contains(&key)).map(|row| row.action)
}

/// Creates a row of a keymap.
pub const fn row(
    keys: &'static [Key],
    action: Action,
    section: &'static str,
    says: &'static str,
    hint: &'static str,
) -> Binding {
    Binding { keys, action, section, says: Cow::Borrowed(says), hint }
}
