//! The palette: everything that can be chosen, in one list.
//!
//! To add a kind of entry, add a row to `SOURCES` and a branch to [`take`].

use crate::script::session::Target;
use crate::tui::action::{request, units};
use crate::tui::command::{COMMANDS, execute};
use crate::tui::effect::{Effect, ask};
use crate::tui::keymap::{Action, EVERYWHERE};
use crate::tui::panel::PANELS;
use crate::tui::state::{Choice, Item, Picker, Popup, Prompt, State};
use crate::worker::message::Command;

/// Separates the kind of an entry from its value.
const MARK: char = '\t';
/// Maximum number of remembered choices.
const REMEMBERED: usize = 20;

/// A source of entries: the kind, and a function that lists values, labels and details.
type Source = (&'static str, fn(&State) -> Vec<(String, String, String)>);

/// All kinds of entries.
const SOURCES: [Source; 8] = [
    ("action", actions),
    ("method", methods),
    ("parameter", parameters),
    ("layer", layers),
    ("class", classes),
    ("model", models),
    ("picture", pictures),
    ("command", commands),
];

/// Opens the palette, with recent choices first.
pub fn open(state: &mut State) -> Vec<Effect> {
    let mut items = Vec::new();
    for (kind, list) in SOURCES {
        let item = |(value, label, detail): (String, String, String)| {
            let detail = if detail.is_empty() { kind.to_owned() } else { format!("{kind} · {detail}") };
            Item { value: format!("{kind}{MARK}{value}"), label, detail }
        };
        items.extend(list(state).into_iter().map(item));
    }
    items.sort_by_key(|item| state.chosen.iter().position(|value| *value == item.value).unwrap_or(usize::MAX));
    let picker = Picker::new(Choice::Palette, "anything: actions, methods, parameters, layers, classes", items, "");
    state.popup = Some(Popup::Picker(picker));
    Vec::new()
}

/// Performs the chosen entry.
pub fn take(state: &mut State, entry: String) -> Vec<Effect> {
    state.chosen.retain(|other| *other != entry);
    state.chosen.insert(0, entry.clone());
    state.chosen.truncate(REMEMBERED);
    let Some((kind, value)) = entry.split_once(MARK) else { return Vec::new() };
    match kind {
        "action" => {
            state.pending = bound(value);
            Vec::new()
        }
        "method" => request::run_method(state, value.to_owned()),
        "parameter" => {
            let now = state.params().iter().find(|p| p.name == value).map(|p| state.value(p).to_owned());
            prompt(state, format!("set {value} {}", now.unwrap_or_default()))
        }
        "layer" => request::choose_layer(state, value.to_owned()),
        "class" => ask(Command::Target(value.parse().ok().map(Target::Class))),
        "model" => ask(Command::Model { name: value.to_owned(), weights: None }),
        "picture" => ask(Command::Picture(value.to_owned())),
        // Commands that choose a file do so at once.
        _ if ["data", "weights", "open"].contains(&value) => execute(state, value).unwrap_or_default(),
        _ => prompt(state, format!("{value} ")),
    }
}

fn prompt(state: &mut State, line: String) -> Vec<Effect> {
    state.popup = Some(Popup::Prompt(Prompt::command(line)));
    Vec::new()
}

/// The action with this description.
fn bound(says: &str) -> Option<Action> {
    let everywhere = EVERYWHERE.iter().find(|row| row.says == says).map(|row| row.action);
    let focus = |(panel, number): (&crate::tui::panel::Panel, u8)| (panel_name(panel) == says).then_some(number);
    everywhere.or_else(|| PANELS.iter().zip(1..).find_map(focus).map(Action::Pane))
}

fn panel_name(panel: &crate::tui::panel::Panel) -> String {
    format!("go to {}", panel.pane.0)
}

fn actions(state: &State) -> Vec<(String, String, String)> {
    let row = |row: &crate::tui::keymap::Binding| {
        let key = state.bindings.key_of(row.action);
        let why = impossible(state, row.action).map(|why| format!("{key}  ({why})"));
        (row.says.to_string(), row.says.to_string(), why.unwrap_or(key))
    };
    let panel =
        |(panel, number): (&crate::tui::panel::Panel, u8)| (panel_name(panel), panel_name(panel), number.to_string());
    EVERYWHERE.iter().filter(|row| !moves(row.action)).map(row).chain(PANELS.iter().zip(1..).map(panel)).collect()
}

/// Whether an action only moves the cursor, which makes no sense in a list.
fn moves(action: Action) -> bool {
    matches!(action, Action::Move(_) | Action::Page(_) | Action::Top | Action::Bottom | Action::Palette)
}

/// Why an action has no effect at the moment, if it hasn't.
fn impossible(state: &State, action: Action) -> Option<&'static str> {
    let steps =
        matches!(action, Action::Play | Action::Step(_) | Action::First | Action::Last | Action::MinimalEpsilon);
    match action {
        _ if steps && !state.stepped() => Some("the method has no steps"),
        Action::MinimalEpsilon if !state.params().iter().any(|p| p.name == "epsilon") => Some("no epsilon"),
        Action::Branch(_) if state.branches.count < 2 => Some("there is only one branch"),
        Action::PickLayer if state.layer_param().is_none() => Some("the method has no layer"),
        Action::Ablate if units::under_ring(state).is_none() => Some("no unit at the ring"),
        Action::Cancel if state.busy.is_none() => Some("nothing is running"),
        Action::Change(_) | Action::Tenfold(_) if state.params().is_empty() => Some("no parameters"),
        _ => None,
    }
}

fn methods(state: &State) -> Vec<(String, String, String)> {
    let row = |m: &crate::script::summary::MethodRow| {
        let about = m.unmet.map_or_else(|| m.about().to_owned(), |why| format!("{why}: {}", m.about()));
        (m.name.clone(), format!("{} ({})", m.title(), m.name), about)
    };
    state.methods.iter().map(row).collect()
}

fn parameters(state: &State) -> Vec<(String, String, String)> {
    let row = |p: &crate::script::summary::ParamRow| {
        (p.name.clone(), format!("{} = {}", p.name, state.value(p)), p.doc.clone())
    };
    state.params().iter().map(row).collect()
}

fn layers(state: &State) -> Vec<(String, String, String)> {
    let Some((_, kinds)) = state.layer_param() else { return Vec::new() };
    let kind = |name: &str| state.output_of(name).map_or_else(String::new, |layer| layer.kind.clone());
    state.layers_of(kinds).into_iter().map(|name| (name.clone(), name.clone(), kind(&name))).collect()
}

fn classes(state: &State) -> Vec<(String, String, String)> {
    let labels = state.model.as_ref().map_or(&[][..], |model| &model.labels);
    labels.iter().enumerate().map(|(at, label)| (at.to_string(), label.clone(), at.to_string())).collect()
}

fn models(state: &State) -> Vec<(String, String, String)> {
    let own = state.models.iter().filter(|model| model.weights);
    own.map(|model| (model.name.clone(), model.name.clone(), model.summary.clone())).collect()
}

fn pictures(state: &State) -> Vec<(String, String, String)> {
    let recent = state.picture.iter().map(|picture| picture.source.clone());
    let made = (0..8).map(|i| format!("made:welcome[{i}]"));
    let mut all: Vec<_> = recent.chain(made).collect();
    all.dedup();
    all.into_iter().map(|name| (name.clone(), name, String::new())).collect()
}

fn commands(_: &State) -> Vec<(String, String, String)> {
    let row = |command: &&crate::tui::command::CommandSpec| {
        let label = format!(":{} {}", command.name, command.arguments);
        (command.name.to_owned(), label.trim_end().to_owned(), command.summary.to_owned())
    };
    COMMANDS.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_of_the_palette_is_found_by_its_description() {
        let state = State::default();
        for (value, label, _) in actions(&state) {
            assert!(bound(&value).is_some(), "{label}");
        }
    }

    #[test]
    fn descriptions_are_unique() {
        let mut seen: Vec<_> = EVERYWHERE.iter().map(|row| row.says.to_string()).collect();
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}
