//! The error that the error pane shows.

use crate::script::summary::Report;
use std::time::Duration;

/// An error shown in the error pane.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorPane {
    /// The error and its position in a script.
    pub report: Report,
    /// When the error occurred, as time since the app started.
    pub at: Duration,
    /// Whether figures of an earlier, successful result are still shown.
    pub good_stays: bool,
}

/// The first line of an error: its position in a script if it has one, and its message.
pub fn headline(report: &Report) -> String {
    match &report.place {
        Some((file, line, column)) => format!("{file}:{line}:{column}: {}", report.message),
        None => report.message.clone(),
    }
}
