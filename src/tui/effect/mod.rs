//! Effects: work that the app does outside its state.

pub mod editor;
mod find_files;
pub mod find_models;
pub mod find_pictures;

use crate::worker::message::Command;
use std::path::PathBuf;

/// Work that the app does outside its state.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send a command to the worker.
    Ask(Command),
    /// Open a file at a line in the user's editor.
    Edit(PathBuf, Option<usize>),
    /// List the files whose paths begin with this text.
    Complete(String),
    /// Search for picture files in the working directory and in this folder.
    FindPictures(Option<PathBuf>),
    /// Search for model files in the working directory and in these folders.
    FindModels(Vec<PathBuf>),
    /// Read the thumbnail of the picture with this name.
    Preview(String),
    /// Redraw the whole screen.
    Redraw,
    /// Suspend the program.
    Suspend,
    /// End the program.
    Quit,
}

/// The effect that sends a command to the worker.
pub fn ask(command: Command) -> Vec<Effect> {
    vec![Effect::Ask(command)]
}
