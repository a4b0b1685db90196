//! The lines of the log.

use std::time::Duration;

/// A line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// Time of the line, measured from the start of the app.
    pub at: Duration,
    /// Tone of the line, which determines its color.
    pub tone: Tone,
    /// The message.
    pub text: String,
}

/// The tone of a log line, which determines its color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A neutral message.
    Plain,
    /// A success message.
    Good,
    /// An error message.
    Bad,
}
