//! Events: everything that can change the state.

mod key;

pub use key::Key;

use crate::tui::files::{FileAbout, Folder};
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
    /// The files whose paths start with a typed text were found.
    Completions {
        /// The typed text.
        text: String,
        /// The paths and names that complete it.
        offers: Vec<String>,
        /// Whether to insert what they have in common, rather than only to list them.
        insert: bool,
    },
    /// A folder was read for the file browser.
    Folder(Folder),
    /// What a row of the file browser is was found out; `None` if another row was requested in the meantime.
    FileAbout(String, Option<FileAbout>),
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
