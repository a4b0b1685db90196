//! The pop-up that is open over the panels.

use super::picker::Picker;
use super::prompt::Prompt;

/// A pop-up that is open over the panels.
#[derive(Debug)]
pub enum Popup {
    /// The help, scrolled down by this many lines.
    Help(usize),
    /// A list to choose from.
    Picker(Picker),
    /// A line to type a command or a filter in.
    Prompt(Prompt),
}
