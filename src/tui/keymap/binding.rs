//! A row of a keymap: keys, the action that they trigger, and its description in the help.

use super::action::Action;
use crate::tui::event::Key;
use std::borrow::Cow;

/// A row of a keymap.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Keys of the row; each of them triggers the action.
    pub keys: &'static [Key],
    /// The action that the keys trigger.
    pub action: Action,
    /// Section of the help that lists the row.
    pub section: &'static str,
    /// Description of the action in the help.
    pub says: Cow<'static, str>,
    /// One-word hint for the status line; empty to show no hint.
    pub hint: &'static str,
}

/// The action that a key triggers according to `rows`; `None` if no row has the key.
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
