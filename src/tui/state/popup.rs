//! The pop-up that is open over the panels.

use super::picker::Picker;
use super::prompt::Prompt;

/// A pop-up.
#[derive(Debug)]
pub enum Popup {
    /// The help, scrolled down by this many rows.
    Help(usize),
    /// A picker.
    Picker(Picker),
    /// A prompt.
    Prompt(Prompt),
}
