//! The router, which dispatches events to the layers of the screen, topmost first.

mod everywhere;
mod focused;

use super::effect::Effect;
use super::event::{Key, Mouse};
use super::keymap::{Action, Bound};
use super::layer::{Handled, Layer};
use super::popup;
use super::state::State;

/// The layers of the screen, topmost first: the open pop-up, the focused panel, and the keys that work in every panel.
fn layers(state: &State) -> impl Iterator<Item = Layer> {
    popup::layer(state).into_iter().chain([focused::LAYER, everywhere::LAYER])
}

/// The keys that currently have an effect, topmost layer first.
pub fn keys(state: &State) -> Vec<Bound> {
    let modal = popup::layer(state).filter(|layer| layer.modal);
    match modal {
        Some(layer) => (layer.keys)(state),
        None => layers(state).flat_map(|layer| (layer.keys)(state)).collect(),
    }
}

/// Looks up a key in the topmost layer that binds it and performs its action. A modal layer treats unbound characters as typed text.
pub fn key(state: &mut State, key: Key) -> Vec<Effect> {
    for layer in layers(state).collect::<Vec<_>>() {
        if let Some(action) = (layer.find)(state, key) {
            return perform(state, action);
        }
        if layer.modal {
            let Key::Char(letter) = key else { return Vec::new() };
            return (layer.text)(state, &letter.to_string()).unwrap_or_default();
        }
    }
    if let Some((_, now)) = MOVED.iter().find(|(old, _)| *old == key) {
        state.say(*now);
    }
    Vec::new()
}

/// Keys that had another meaning in version 0.1, and where it is now.
const MOVED: [(Key, &str); 3] = [
    (Key::Char('p'), "the previous step is now on , (comma)"),
    (Key::Char('l'), "l moves right; L chooses a layer"),
    (Key::Char('h'), "h moves left"),
];

/// Offers an action to the layers, topmost first, until one handles it.
pub fn perform(state: &mut State, action: Action) -> Vec<Effect> {
    let effects = offer(state, |layer, state| (layer.act)(state, action));
    state.leaving &= matches!(action, Action::Quit | Action::Interrupt);
    effects
}

/// Offers pasted text to the layers, topmost first, until one handles it.
pub fn paste(state: &mut State, text: &str) -> Vec<Effect> {
    offer(state, |layer, state| (layer.text)(state, text))
}

/// Offers a mouse event to the layers, topmost first, until one handles it.
pub fn point(state: &mut State, mouse: Mouse, column: u16, row: u16) -> Vec<Effect> {
    offer(state, |layer, state| (layer.point)(state, mouse, (column, row)))
}

fn offer(state: &mut State, to: impl Fn(&Layer, &mut State) -> Handled) -> Vec<Effect> {
    let layers: Vec<_> = layers(state).collect();
    layers.iter().find_map(|layer| to(layer, state)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::files::FileGoal;
    use crate::tui::panel::{self, PANELS};
    use crate::tui::state::{Choice, FileBrowser, Help, Pane, Picker, Popup, Prompt};

    fn everywhere_and(pane: Pane) -> Vec<Bound> {
        keys(&State { focus: pane, ..State::default() })
    }

    /// The keys of each panel, including global keys, and of each pop-up.
    fn all() -> impl Iterator<Item = Vec<Bound>> {
        let picker = Picker::new(Choice::Model, "model", vec![], "");
        let files = FileBrowser::new(FileGoal::Data, ".".into());
        let popups = [
            Popup::Files(files),
            Popup::Help(Help::default()),
            Popup::Picker(picker),
            Popup::Prompt(Prompt::default()),
        ];
        let popups = popups.map(|popup| keys(&State { popup: Some(popup), ..State::default() }));
        PANELS.iter().map(|panel| everywhere_and(panel.pane)).chain(popups)
    }

    #[test]
    fn every_bound_key_parses_as_it_is_displayed() {
        for key in all().flatten().flat_map(|bound| bound.keys) {
            assert_eq!(Key::parse(&key.to_string()), Some(key), "{key}");
        }
    }

    #[test]
    fn no_key_has_two_meanings_at_once() {
        for rows in all() {
            let keys: Vec<_> = rows.iter().flat_map(|bound| &bound.keys).collect();
            for (i, key) in keys.iter().enumerate() {
                assert!(!keys[i + 1..].contains(key), "{key} has two meanings among {keys:?}");
            }
        }
    }

    #[test]
    fn a_key_does_what_the_help_says() {
        let mut state = State::default();
        state.bindings.bind("d", "play").unwrap();
        for panel in PANELS {
            state.focus = panel.pane;
            for bound in keys(&state) {
                let found = |key: &Key| layers(&state).find_map(|layer| (layer.find)(&state, *key));
                assert!(bound.keys.iter().all(|key| found(key) == Some(bound.binding.action)), "{bound:?}");
            }
        }
    }

    #[test]
    fn every_panel_has_a_number_that_focuses_it() {
        for (panel, number) in PANELS.iter().zip(1..) {
            let mut state = State::new(140, 40);
            key(&mut state, Key::Char(char::from(b'0' + number)));
            assert_eq!((state.focus, panel::numbered(number)), (panel.pane, Some(panel.pane)));
        }
    }

    #[test]
    fn the_documented_keys_are_bound() {
        let design = [
            ('u', Action::Undo),
            ('U', Action::Redo),
            ('y', Action::Copy),
            ('n', Action::Match(1)),
            ('.', Action::Step(1)),
            (',', Action::Step(-1)),
            (' ', Action::Play),
            ('[', Action::Change(-1)),
            (']', Action::Change(1)),
            ('L', Action::PickLayer),
            ('t', Action::PickTarget),
            ('m', Action::PickModel),
            ('i', Action::PickPicture),
            ('c', Action::PickColors),
            ('s', Action::Save),
            ('e', Action::Edit),
            ('q', Action::Quit),
            ('?', Action::Help),
            (':', Action::CommandLine),
            ('/', Action::Filter),
        ];
        let rows = everywhere_and(Pane::METHODS);
        for (letter, wanted) in design {
            let bound = rows.iter().find(|bound| bound.keys.contains(&Key::Char(letter)));
            assert_eq!(bound.map(|bound| bound.binding.action), Some(wanted), "{letter}");
        }
    }

    #[test]
    fn every_binding_has_a_description() {
        for Bound { binding, .. } in all().flatten() {
            assert!(!binding.says.is_empty() && !binding.section.is_empty() && !binding.keys.is_empty());
        }
    }

    #[test]
    fn the_users_binding_takes_precedence_over_a_panels() {
        let mut state = State { focus: Pane::PARAMETERS, ..State::default() };
        state.bindings.bind("d", "play").unwrap();
        let meaning = |letter| {
            let rows = keys(&state);
            rows.iter().find(|bound| bound.keys.contains(&Key::Char(letter))).map(|bound| bound.binding.action)
        };
        assert_eq!([meaning('d'), meaning(' ')], [Some(Action::Play); 2]);
    }
}
