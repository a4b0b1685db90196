//! Pop-ups over the panels.

use super::file_browser::FileBrowser;
use super::help::Help;
use super::picker::Picker;
use super::prompt::Prompt;

/// A pop-up over the panels.
#[derive(Debug)]
pub enum Popup {
    /// The help.
    Help(Help),
    /// A selection list.
    Picker(Picker),
    /// The file browser.
    Files(FileBrowser),
    /// A line for typing a command or filter.
    Prompt(Prompt),
}
