//! Effects: work outside the app's state.

pub mod editor;
mod find_files;
pub mod find_models;
pub mod find_pictures;

use crate::tui::files::FileGoal;
use crate::worker::message::Command;
use std::path::PathBuf;

/// An effect: work outside the app's state.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send a command to the worker.
    Ask(Command),
    /// Open the script of the method with this name at a line in the user's editor.
    Edit(String, PathBuf, Option<usize>),
    /// List files whose paths start with a typed text.
    Complete {
        /// The typed text.
        text: String,
        /// Names that complete the text as well.
        also: Vec<String>,
        /// Whether to insert what the completions have in common, rather than only to list them.
        insert: bool,
    },
    /// Read a folder for the file browser.
    ReadFolder(FileGoal, PathBuf),
    /// Find out what a row of the file browser is.
    FileAbout(FileGoal, String),
    /// Search for picture files in the working directory and this folder.
    FindPictures(Option<PathBuf>),
    /// Search for model files in the working directory and these folders.
    FindModels(Vec<PathBuf>),
    /// Read the thumbnail of the picture with this name.
    Preview(String),
    /// Copy a text to the clipboard.
    Copy(String),
    /// Redraw the whole screen.
    Redraw,
    /// Suspend the program.
    Suspend,
    /// Quit the program.
    Quit,
}

/// The effect that sends a command to the worker.
pub fn ask(command: Command) -> Vec<Effect> {
    vec![Effect::Ask(command)]
}
