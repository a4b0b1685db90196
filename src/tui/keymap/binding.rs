//! A row of a keymap: keys, what they do, and how the help describes it.

use super::action::Action;
use crate::tui::event::Key;
use std::borrow::Cow;

/// A row of a keymap.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The keys; each of them triggers the action.
    pub keys: &'static [Key],
    /// What they do.
    pub action: Action,
    /// The section of the help that lists it.
    pub section: &'static str,
    /// What it does, for the help.
    pub says: Cow<'static, str>,
    /// The same in a word, for the status line; empty if not shown there.
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
