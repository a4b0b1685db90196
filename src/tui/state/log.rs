//! The lines of the log.

use std::time::Duration;

/// A line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// When it was written.
    pub at: Duration,
    /// The tone.
    pub tone: Tone,
    /// The text.
    pub text: String,
}

/// The tone of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Neutral.
    Plain,
    /// A success.
    Good,
    /// An error.
    Bad,
}
