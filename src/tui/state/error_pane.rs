//! The error shown in the error pane.

use crate::script::summary::Report;
use std::time::Duration;

/// An error shown in the error pane.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorPane {
    /// The error and its position in a script.
    pub report: Report,
    /// Time of the error, measured from the start of the app.
    pub at: Duration,
    /// Whether figures of an earlier successful result are still shown.
    pub good_stays: bool,
}

/// The first line of an error: its position in a script, if any, and its message.
pub fn headline(report: &Report) -> String {
    match &report.place {
        Some((file, line, column)) => format!("{file}:{line}:{column}: {}", report.message),
        None => report.message.clone(),
    }
}
