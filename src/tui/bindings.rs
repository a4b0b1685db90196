//! The keys as they are: those of the keymap, with a person's own in their place.

use super::keymap::{Action, Binding, Context, KEYMAP, Key};

/// One row of the keymap with the keys that do it now.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Where it holds, what it does.
    pub binding: &'static Binding,
    /// The keys, any of them; none: a person took them away.
    pub keys: Vec<Key>,
}

/// Every key there is, in the order of the help.
#[derive(Clone, Debug)]
pub struct Bindings(Vec<Bound>);

/// Actions as a configuration names them.
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
    ("next_view", Action::Look(1)),
    ("last_view", Action::Look(-1)),
    ("scale", Action::Scale),
    ("less_map", Action::Strength(-1)),
    ("more_map", Action::Strength(1)),
    ("enlarge", Action::Enlarge(1)),
    ("reduce", Action::Enlarge(-1)),
    ("whole", Action::Whole),
    ("inspect", Action::Inspect),
    ("save", Action::Save),
    ("edit", Action::Edit),
    ("filter", Action::Filter),
    ("command", Action::CommandLine),
    ("log", Action::ShowLog),
];

impl Default for Bindings {
    fn default() -> Self {
        Self(KEYMAP.iter().map(|binding| Bound { binding, keys: binding.keys.to_vec() }).collect())
    }
}

impl Bindings {
    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &Bound> {
        self.0.iter().filter(|row| !row.keys.is_empty())
    }

    /// What a key does in the first of these contexts that knows it.
    pub fn action(&self, contexts: &[Context], key: Key) -> Option<Action> {
        let of = |context| self.0.iter().find(|b| b.binding.context == context && b.keys.contains(&key));
        contexts.iter().find_map(|context| of(*context)).map(|b| b.binding.action)
    }

    /// The key that does something, as hints write it.
    pub fn key_of(&self, action: Action) -> String {
        let row = self.rows().find(|b| b.binding.action == action);
        row.and_then(|b| b.keys.first()).map_or_else(String::new, Key::to_string)
    }

    /// Lets a key do something else everywhere; what it did before has its other keys.
    ///
    /// Errors name the actions or the keys there are.
    pub fn bind(&mut self, key: &str, action: &str) -> Result<(), String> {
        let known = || NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let wanted = NAMES.iter().find(|(name, _)| *name == action).map(|(_, action)| *action);
        let wanted = wanted.ok_or_else(|| format!("no action \"{action}\"; known are {}", known()))?;
        let key = parse(key).ok_or_else(|| {
            format!("no key \"{key}\"; keys are letters and signs, Ctrl-a to Ctrl-z, Space, Enter, Esc, Tab, S-Tab, Home, End, PgUp, PgDn, Up, Down, Left, Right, Backspace and Delete")
        })?;
        let everywhere = |b: &&mut Bound| b.binding.context == Context::Everywhere;
        let place = self.0.iter_mut().filter(everywhere).find(|b| b.binding.action == wanted);
        let Some(place) = place else { return Err(format!("\"{action}\" is of one pane alone; its keys stay")) };
        let row = place.binding;
        for other in self
            .0
            .iter_mut()
            .filter(|b| !matches!(b.binding.context, Context::Picker | Context::Prompt | Context::Help))
        {
            other.keys.retain(|k| *k != key);
            if std::ptr::eq(other.binding, row) {
                other.keys.insert(0, key);
            }
        }
        Ok(())
    }
}

/// A key as help writes it.
fn parse(text: &str) -> Option<Key> {
    let mut letters = text.chars();
    Some(match (letters.next()?, letters.as_str()) {
        (letter, "") if !letter.is_control() => Key::Char(letter),
        _ if text == "Space" => Key::Char(' '),
        _ if text == "S-Tab" => Key::BackTab,
        _ if text == "PgUp" => Key::PageUp,
        _ if text == "PgDn" => Key::PageDown,
        _ => {
            let named = [
                Key::Enter,
                Key::Esc,
                Key::Tab,
                Key::Backspace,
                Key::Delete,
                Key::Up,
                Key::Down,
                Key::Left,
                Key::Right,
                Key::Home,
                Key::End,
            ];
            let ctrl = text.strip_prefix("Ctrl-").and_then(|c| c.parse().ok()).filter(char::is_ascii_lowercase);
            return ctrl.map(Key::Ctrl).or_else(|| named.into_iter().find(|key| format!("{key}") == text));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_as_it_is_written() {
        for key in KEYMAP.iter().flat_map(|b| b.keys) {
            assert_eq!(parse(&key.to_string()), Some(*key), "{key}");
        }
        assert_eq!(parse("Ctrl-Q"), None);
        assert_eq!(parse("F13"), None);
    }

    #[test]
    fn every_action_of_all_panes_has_a_name() {
        let rows = KEYMAP.iter().filter(|b| b.context == Context::Everywhere && !matches!(b.action, Action::Pane(_)));
        for row in rows {
            assert!(NAMES.iter().any(|(_, action)| *action == row.action), "{:?}", row.action);
        }
    }

    #[test]
    fn a_key_does_what_a_person_says_and_nothing_else() {
        let mut bindings = Bindings::default();
        bindings.bind("x", "play").unwrap();
        let act = |b: &Bindings, key| b.action(&[Context::Methods, Context::Everywhere], Key::Char(key));
        assert_eq!((act(&bindings, 'x'), act(&bindings, ' ')), (Some(Action::Play), Some(Action::Play)));
        assert_eq!(bindings.key_of(Action::Play), "x");
        assert_eq!(bindings.key_of(Action::Cancel), "", "its only key is gone");
        assert!(bindings.bind("x", "pla").unwrap_err().contains("known are quit"));
        assert!(bindings.bind("xx", "play").unwrap_err().contains("no key \"xx\""));
        assert!(bindings.bind("x", "defaults").unwrap_err().contains("one pane alone"));
    }
}
