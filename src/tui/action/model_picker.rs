//! Opens the lists of models and weight files and handles selections.

use crate::script::architecture::open_model::is_graph_file;
use crate::script::summary::ModelRow;
use crate::tui::effect::{Effect, ask};
use crate::tui::state::{Choice, Item, Picker, Popup, State};
use crate::tui::view::format::bytes;
use crate::worker::message::Command;
use std::path::{Path, PathBuf};

/// Maximum length of the folder shown next to a file name, in characters.
const FOLDER: usize = 24;

/// Opens the list of models and starts searching for model files. Lists architectures with bundled weights first, then files,
/// then architectures that need weights.
pub fn open(state: &mut State) -> Vec<Effect> {
    let (own, others): (Vec<_>, Vec<_>) = state.models.iter().partition(|model| model.weights);
    let about = |m: &&ModelRow| if m.weights { m.summary.clone() } else { format!("needs weights: {}", m.summary) };
    let items = own.iter().chain(&others).map(|m| Item::new(&m.name, &m.name, &about(m))).collect();
    // The cursor stays among the architectures with bundled weights, which come first.
    let present = state.model.as_ref().map(|m| &m.name).filter(|name| own.iter().any(|m| m.name == **name));
    show(state, Picker::new(Choice::Model, "model or path", items, present.map_or("", |name| name)))
}

/// Opens the list of weight files for an architecture.
fn open_weights(state: &mut State, architecture: String) -> Vec<Effect> {
    let title = format!("weights for {architecture}, or a path");
    show(state, Picker::new(Choice::Weights(architecture), &title, vec![], ""))
}

fn show(state: &mut State, picker: Picker) -> Vec<Effect> {
    state.popup = Some(Popup::Picker(picker));
    vec![Effect::FindModels(state.recent_folders.clone())]
}

/// Adds the model files found by the search to the open list.
pub fn found(state: &mut State, files: &[(String, u64)]) {
    let own = state.models.iter().filter(|model| model.weights).count();
    let Some(Popup::Picker(picker)) = &mut state.popup else { return };
    let items = files.iter().map(|(path, size)| (path, file_item(path, *size)));
    match picker.of {
        Choice::Model => picker.insert(own, items.map(|(_, item)| item).collect()),
        Choice::Weights(_) => {
            picker.insert(0, items.filter(|(path, _)| !is_graph_file(path)).map(|(_, item)| item).collect());
        }
        _ => {}
    }
}

fn file_item(path: &str, size: u64) -> Item {
    let name = Path::new(path).file_name().map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned());
    let folder = Path::new(path).parent().map_or_else(String::new, |folder| folder.to_string_lossy().into_owned());
    Item::new(path, &name, &format!("{}{:>9}", tail(&folder), bytes(size)))
}

/// Truncates a path at the start so that it fits next to a file name.
fn tail(folder: &str) -> String {
    let surplus = folder.chars().count().saturating_sub(FOLDER);
    let end: String = folder.chars().skip(if surplus > 0 { surplus + 1 } else { 0 }).collect();
    if surplus > 0 { format!("…{end}") } else { end }
}

/// Opens the selected model. For an architecture without weights, opens the list of weight files.
pub fn choose(state: &mut State, name: String) -> Vec<Effect> {
    match state.models.iter().any(|m| m.name == name && !m.weights) {
        true => open_weights(state, name),
        false => ask(Command::Model { name, weights: None }),
    }
}

/// Opens an architecture with the selected weights.
pub fn choose_weights(architecture: String, file: String) -> Vec<Effect> {
    ask(Command::Model { name: architecture, weights: Some(PathBuf::from(file)) })
}
