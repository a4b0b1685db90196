//! The lines of the log.

use std::time::Duration;

/// A line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// When the line was written, as time since the app started.
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
    /// A message about a success.
    Good,
    /// A message about an error.
    Bad,
}
