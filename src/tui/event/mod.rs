//! Events: everything that can change the state.

mod key;

pub use key::Key;

use crate::worker::message::Update;
use image::RgbImage;
use std::sync::Arc;

/// An event.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// A mouse event at this column and row, from 0.
    Mouse(Mouse, u16, u16),
    /// A mouse event on a picture: its position in the visible part, 0 to 1 from the left and from the top.
    Pointed(Mouse, f32, f32),
    /// The terminal now has this many columns and rows.
    Resize(u16, u16),
    /// Bytes written to the terminal in the last second.
    Rate(usize),
    /// A message from the worker.
    Worker(Box<Update>),
    /// Time has passed.
    Tick,
    /// Completions of the path being typed.
    Completions(Vec<String>),
    /// The picture files found.
    Pictures(Vec<String>),
    /// The thumbnail of a picture; `None` if it cannot be read.
    Preview(String, Option<Arc<RgbImage>>),
    /// A message from the app itself.
    Note(String),
    /// The program must quit.
    Quit,
}

/// Mouse events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// The left button was pressed.
    Press,
    /// The mouse moved with the left button held.
    Drag,
    /// The wheel turned up.
    WheelUp,
    /// The wheel turned down.
    WheelDown,
}
