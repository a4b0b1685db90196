//! Events: everything that can change the state.

mod key;

pub use key::Key;

use crate::worker::message::Update;
use image::RgbImage;
use std::sync::Arc;

/// Something that can change the state.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key was pressed.
    Key(Key),
    /// This text was pasted.
    Paste(String),
    /// A mouse event at a zero-based column and row of the screen.
    Mouse(Mouse, u16, u16),
    /// A mouse event on a picture, at a position in its visible part, as fractions in `[0, 1]` of its width and height.
    Pointed(Mouse, f32, f32),
    /// The terminal was resized to this many columns and rows.
    Resize(u16, u16),
    /// This number of bytes was written to the terminal in the last second.
    Rate(usize),
    /// The worker sent a message.
    Worker(Box<Update>),
    /// Time has passed without other events.
    Tick,
    /// Completions for the typed path are available.
    Completions(Vec<String>),
    /// The search for pictures found these files.
    Pictures(Vec<String>),
    /// The search for models found these files, each with its path and its size in bytes.
    ModelFiles(Vec<(String, u64)>),
    /// The thumbnail of the picture with this name was read; `None` if it could not be read.
    Preview(String, Option<Arc<RgbImage>>),
    /// A message from the app to show to the user.
    Note(String),
    /// The program must quit.
    Quit,
}

/// A mouse event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// The left button was pressed.
    Press,
    /// The mouse moved with the left button held.
    Drag,
    /// The wheel was turned up.
    WheelUp,
    /// The wheel was turned down.
    WheelDown,
}
