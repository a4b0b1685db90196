//! The error on screen.

use crate::script::summary::Report;
use std::time::Duration;

/// An error on screen.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorPane {
    /// The error.
    pub report: Report,
    /// When it occurred.
    pub at: Duration,
    /// Whether figures of an earlier result are still shown.
    pub good_stays: bool,
}

/// The first line of an error: its position and its message.
pub fn headline(report: &Report) -> String {
    match &report.place {
        Some((file, line, column)) => format!("{file}:{line}:{column}: {}", report.message),
        None => report.message.clone(),
    }
}
