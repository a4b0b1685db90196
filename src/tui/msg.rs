//! What happens to the app, and what it wants done about it.

use super::keymap::Key;
use crate::script::message::{Command, Update};
use image::RgbImage;
use std::path::PathBuf;
use std::sync::Arc;

/// Something happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// Something was done with the mouse at this column and row, from 0.
    Mouse(Mouse, u16, u16),
    /// Something was done with the mouse at this place of a picture, 0 to 1 from the left and from the top of what is seen.
    Pointed(Mouse, f32, f32),
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
    /// The worker has something to say.
    Worker(Box<Update>),
    /// Time went by.
    Tick,
    /// What a path that was being typed may go on as.
    Completions(Vec<String>),
    /// Pictures that were found.
    Pictures(Vec<String>),
    /// A picture that was asked for, small; none when it cannot be read.
    Preview(String, Option<Arc<RgbImage>>),
    /// Something of the app's own to tell.
    Note(String),
    /// The program shall end.
    Quit,
}

/// What can be done with a mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// The left button was pressed.
    Press,
    /// The mouse was moved with the button held.
    Drag,
    /// The wheel was turned up.
    WheelUp,
    /// The wheel was turned down.
    WheelDown,
}

/// Something to be done outside of the state.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Tell the worker.
    Ask(Command),
    /// Open a file at a line in the person's editor.
    Edit(PathBuf, Option<usize>),
    /// Look what files begin like this path.
    Complete(String),
    /// Look for pictures, in this folder too.
    FindPictures(Option<PathBuf>),
    /// Read a picture to show it small.
    Preview(String),
    /// Draw the whole screen anew.
    Redraw,
    /// Put the program to sleep.
    Suspend,
    /// End the program.
    Quit,
}
