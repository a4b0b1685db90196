//! Effects: what the app has to do outside its state.

pub mod editor;
pub mod find_pictures;

use crate::worker::message::Command;
use std::path::PathBuf;

/// Work outside the state.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send a command to the worker.
    Ask(Command),
    /// Open a file at a line in the user's editor.
    Edit(PathBuf, Option<usize>),
    /// List the files whose paths start with this text.
    Complete(String),
    /// Search for pictures in the working directory and in this folder.
    FindPictures(Option<PathBuf>),
    /// Read the thumbnail of a picture.
    Preview(String),
    /// Redraw the whole screen.
    Redraw,
    /// Suspend the program.
    Suspend,
    /// End the program.
    Quit,
}

/// The effect of sending a command to the worker.
pub fn ask(command: Command) -> Vec<Effect> {
    vec![Effect::Ask(command)]
}
