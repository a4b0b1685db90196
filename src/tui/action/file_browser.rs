//! The file browser: opens it, goes from folder to folder, and uses the chosen file.

use super::request;
use crate::script::summary::{ParamKind, ParamRow};
use crate::tui::effect::{Effect, ask};
use crate::tui::files::{FileAbout, FileGoal, FileRowKind, Folder};
use crate::tui::state::{FileBrowser, Popup, State};
use crate::worker::message::Command;
use std::path::PathBuf;

/// Opens the file browser in the folder where it was last, at first the working directory.
pub fn open(state: &mut State, goal: FileGoal) -> Vec<Effect> {
    let folder = state.folder.clone().unwrap_or_else(|| ".".into());
    state.popup = Some(Popup::Files(FileBrowser::new(goal.clone(), folder.clone())));
    vec![Effect::ReadFolder(goal, folder)]
}

/// What a file is chosen for if it is the value of this parameter; `None` if the parameter is no file.
pub fn goal_of(param: &ParamRow) -> Option<FileGoal> {
    match param.kind {
        ParamKind::Array => Some(FileGoal::Array(param.name.clone())),
        ParamKind::Pictures => Some(FileGoal::Pictures(param.name.clone())),
        _ => None,
    }
}

/// Goes to the folder that contains the open one.
pub fn leave(state: &mut State) -> Vec<Effect> {
    let parent = opened(state).and_then(|browser| browser.parent());
    parent.map_or_else(Vec::new, |parent| enter(state, parent))
}

/// Enters the folder under the cursor, if it is one.
pub fn enter_chosen(state: &mut State) -> Vec<Effect> {
    let row = opened(state).and_then(|browser| browser.chosen());
    let folder = row.filter(|row| row.kind == FileRowKind::Folder).map(|row| PathBuf::from(&row.value));
    folder.map_or_else(Vec::new, |folder| enter(state, folder))
}

/// Enters the folder under the cursor, or uses the file under the cursor or, if no row matches, the typed path.
pub fn accept(state: &mut State) -> Vec<Effect> {
    let Some(browser) = opened(state) else { return Vec::new() };
    let goal = browser.goal.clone();
    if let Some(typed) = browser.typed_path() {
        let typed = typed.to_string_lossy().into_owned();
        // A path is relative to the folder on screen.
        let path = browser.folder.join(&typed);
        let specified = typed.starts_with("~/") || typed.contains(':');
        if typed.ends_with('/') && !specified {
            return enter(state, path);
        }
        let value = if specified { typed } else { path.to_string_lossy().into_owned() };
        return take(state, goal, value);
    }
    match browser.chosen().map(|row| (row.kind, row.value.clone())) {
        Some((FileRowKind::Folder | FileRowKind::Parent, folder)) => enter(state, folder.into()),
        Some((_, value)) => take(state, goal, value),
        None => Vec::new(),
    }
}

fn enter(state: &mut State, folder: PathBuf) -> Vec<Effect> {
    let Some(Popup::Files(browser)) = &mut state.popup else { return Vec::new() };
    browser.go_to(folder.clone());
    vec![Effect::ReadFolder(browser.goal.clone(), folder)]
}

/// Closes the browser and uses a file.
fn take(state: &mut State, goal: FileGoal, value: String) -> Vec<Effect> {
    state.popup = None;
    match goal {
        FileGoal::Data => ask(Command::Data(value)),
        FileGoal::Weights => ask(Command::Weights(value.into())),
        FileGoal::Picture => ask(Command::Picture(value)),
        FileGoal::Array(name) | FileGoal::Pictures(name) => request::set(state, name, value),
    }
}

fn opened(state: &State) -> Option<&FileBrowser> {
    match &state.popup {
        Some(Popup::Files(browser)) => Some(browser),
        _ => None,
    }
}

/// Shows a folder that was read, if the browser still waits for one.
pub fn listed(state: &mut State, folder: Folder) {
    let Some(Popup::Files(browser)) = &mut state.popup else { return };
    let wanted = std::path::absolute(&browser.folder).unwrap_or_else(|_| browser.folder.clone());
    if browser.reading && wanted == folder.path {
        browser.show(folder);
        state.folder = Some(browser.folder.clone());
    }
}

/// Stores what a row is, if the cursor is still on it.
pub fn described(state: &mut State, value: &str, about: Option<FileAbout>) {
    if let Some(Popup::Files(FileBrowser { about: Some((wanted, seen)), .. })) = &mut state.popup
        && wanted == value
        && about.is_some()
    {
        *seen = about;
    }
}

/// The effect that finds out what the row under the cursor is, if the cursor has moved to another row.
pub fn follow_cursor(state: &mut State) -> Option<Effect> {
    let Some(Popup::Files(browser)) = &mut state.popup else { return None };
    let value = browser.chosen().map(|row| row.value.clone());
    if browser.about.as_ref().map(|(present, _)| present) == value.as_ref() {
        return None;
    }
    browser.about = value.clone().map(|value| (value, None));
    Some(Effect::FileAbout(browser.goal.clone(), value?))
}
