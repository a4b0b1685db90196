//! Effects: what the app has to do outside of its state.

pub mod editor;
pub mod find_pictures;

use crate::worker::message::Command;
use std::path::PathBuf;

/// Something to do outside of the state.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send this to the worker.
    Ask(Command),
    /// Open a file at a line in the user's editor.
    Edit(PathBuf, Option<usize>),
    /// List the files whose paths start like this.
    Complete(String),
    /// Search for pictures, also in this folder.
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

/// A question for the worker.
pub fn ask(command: Command) -> Vec<Effect> {
    vec![Effect::Ask(command)]
}
