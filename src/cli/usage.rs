//! Errors of the person at the command line: what was asked for does not exist.

use crate::script::message::Report;
use std::fmt;

/// Marks an error as a wrong question, for exit code 2.
#[derive(Debug)]
pub struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A wrong question.
pub fn usage(error: anyhow::Error) -> anyhow::Error {
    Usage(sentence(&error)).into()
}

/// An error as a person reads it, without backtraces that libraries append.
pub fn sentence(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Report>() {
        Some(report) => report.to_string(),
        None => Report::plain(error).message,
    }
}

/// Whether a name that becomes a file's is letters, digits, - and _ only.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}
