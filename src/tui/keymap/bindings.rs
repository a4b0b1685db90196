//! The effective key bindings: the keymaps, modified by the user's bindings.

use super::action::Action;
use super::binding::Binding;
use super::everywhere::EVERYWHERE;
use crate::tui::event::Key;

/// A row of a keymap with its effective keys.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The row of the keymap.
    pub binding: Binding,
    /// The effective keys, without those that the user bound to other actions.
    pub keys: Vec<Key>,
}

/// The user's key bindings, oldest first. They work in every panel.
#[derive(Clone, Debug, Default)]
pub struct Bindings(Vec<(Key, Action)>);

/// Actions by their names in the configuration file.
const NAMES: &[(&str, Action)] = &[
    ("quit", Action::Quit),
    ("interrupt", Action::Interrupt),
    ("escape", Action::Escape),
    ("help", Action::Help),
    ("redraw", Action::Redraw),
    ("suspend", Action::Suspend),
    ("next_pane", Action::NextPane),
    ("last_pane", Action::LastPane),
    ("zoom", Action::Zoom),
    ("down", Action::Move(1)),
    ("up", Action::Move(-1)),
    ("page_down", Action::Page(1)),
    ("page_up", Action::Page(-1)),
    ("top", Action::Top),
    ("bottom", Action::Bottom),
    ("choose", Action::Choose),
    ("left", Action::Left),
    ("right", Action::Right),
    ("play", Action::Play),
    ("step", Action::Step(1)),
    ("back", Action::Step(-1)),
    ("ten_steps", Action::Step(10)),
    ("ten_back", Action::Step(-10)),
    ("first", Action::First),
    ("last", Action::Last),
    ("fork", Action::Fork),
    ("next_branch", Action::Branch(1)),
    ("last_branch", Action::Branch(-1)),
    ("compare", Action::Compare),
    ("mark", Action::Mark),
    ("gallery", Action::Gallery),
    ("restart", Action::Restart),
    ("cancel", Action::Cancel),
    ("less", Action::Change(-1)),
    ("more", Action::Change(1)),
    ("tenth", Action::Tenfold(-1)),
    ("tenfold", Action::Tenfold(1)),
    ("default", Action::Default),
    ("defaults", Action::Defaults),
    ("method", Action::PickMethod),
    ("layer", Action::PickLayer),
    ("target", Action::PickTarget),
    ("model", Action::PickModel),
    ("picture", Action::PickPicture),
    ("open", Action::OpenPicture),
    ("reference", Action::Reference),
    ("colors", Action::PickColors),
    ("next_view", Action::View(1)),
    ("last_view", Action::View(-1)),
    ("scale", Action::Scale),
    ("less_map", Action::Strength(-1)),
    ("more_map", Action::Strength(1)),
    ("enlarge", Action::Enlarge(1)),
    ("reduce", Action::Enlarge(-1)),
    ("whole", Action::Whole),
    ("inspect", Action::Inspect),
    ("ablate", Action::Ablate),
    ("minimal_epsilon", Action::MinimalEpsilon),
    ("next_match", Action::Match(1)),
    ("last_match", Action::Match(-1)),
    ("undo", Action::Undo),
    ("redo", Action::Redo),
    ("copy", Action::Copy),
    ("palette", Action::Palette),
    ("save", Action::Save),
    ("edit", Action::Edit),
    ("filter", Action::Filter),
    ("command", Action::CommandLine),
    ("log", Action::ShowLog),
];

impl Bindings {
    /// A row of a panel's keymap with its effective keys. The user's bindings take precedence.
    pub fn panel(&self, row: &Binding) -> Bound {
        Bound { keys: self.kept(row), binding: row.clone() }
    }

    /// A row of the global keymap with its effective keys, the user's keys first.
    pub fn everywhere(&self, row: &Binding) -> Bound {
        let own = self.0.iter().rev().filter(|(_, action)| *action == row.action).map(|(key, _)| *key);
        Bound { keys: own.chain(self.kept(row)).collect(), binding: row.clone() }
    }

    /// A row of a pop-up's keymap, whose keys the user cannot change.
    pub fn popup(&self, row: &Binding) -> Bound {
        Bound { keys: row.keys.to_vec(), binding: row.clone() }
    }

    /// The action that the user bound to a key, if any.
    pub fn own(&self, key: Key) -> Option<Action> {
        self.0.iter().find(|(own, _)| *own == key).map(|(_, action)| *action)
    }

    /// Notation of the first key that triggers an action in every panel, or an empty string.
    pub fn key_of(&self, action: Action) -> String {
        let row = EVERYWHERE.iter().find(|row| row.action == action).map(|row| self.everywhere(row));
        row.and_then(|bound| bound.keys.first().map(Key::to_string)).unwrap_or_default()
    }

    /// Binds a key to an action in every panel. The key's previous action keeps its other keys.
    ///
    /// Errors if the key or action is unknown (the message lists the valid names), or if the action works only in a single panel.
    pub fn bind(&mut self, key: &str, action: &str) -> Result<(), String> {
        let known = || NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let wanted = NAMES.iter().find(|(name, _)| *name == action).map(|(_, action)| *action);
        let wanted = wanted.ok_or_else(|| format!("unknown action \"{action}\"; expected one of {}", known()))?;
        let key = Key::parse(key).ok_or_else(|| {
            format!("unknown key \"{key}\"; expected a character, Ctrl-a to Ctrl-z, Space, Enter, Esc, Tab, S-Tab, Home, End, PgUp, PgDn, Up, Down, Left, Right, Backspace or Delete")
        })?;
        if !EVERYWHERE.iter().any(|row| row.action == wanted) {
            return Err(format!("\"{action}\" works only in a single panel, so its keys cannot be changed"));
        }
        self.0.retain(|(other, _)| *other != key);
        self.0.push((key, wanted));
        Ok(())
    }

    /// The names of all actions.
    pub fn actions() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// The name of an action, as in the configuration file.
    pub fn name_of(action: Action) -> Option<&'static str> {
        NAMES.iter().find(|(_, named)| *named == action).map(|(name, _)| *name)
    }

    /// The user's keys and their actions.
    pub fn own_keys(&self) -> &[(Key, Action)] {
        &self.0
    }

    fn kept(&self, row: &Binding) -> Vec<Key> {
        row.keys.iter().copied().filter(|key| self.own(*key).is_none()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_parses_as_it_is_displayed() {
        for key in EVERYWHERE.iter().flat_map(|row| row.keys) {
            assert_eq!(Key::parse(&key.to_string()), Some(*key), "{key}");
        }
    }

    #[test]
    fn every_action_that_works_in_every_panel_has_a_name() {
        for row in EVERYWHERE {
            assert!(NAMES.iter().any(|(_, action)| *action == row.action), "{:?}", row.action);
        }
    }

    #[test]
    fn the_users_binding_overrides_the_keymap() {
        let mut bindings = Bindings::default();
        bindings.bind("x", "play").unwrap();
        let keys = |action| {
            let row = EVERYWHERE.iter().find(|row| row.action == action).unwrap();
            bindings.everywhere(row).keys
        };
        assert_eq!(keys(Action::Play), [Key::Char('x'), Key::Char(' ')]);
        assert_eq!(bindings.key_of(Action::Play), "x");
        assert_eq!(bindings.key_of(Action::Ablate), "", "its only key is taken");
        assert!(bindings.bind("x", "pla").unwrap_err().contains("expected one of quit"));
        assert!(bindings.bind("xx", "play").unwrap_err().contains("unknown key \"xx\""));
        assert!(bindings.bind("x", "defaults").unwrap_err().contains("a single panel"));
    }
}
