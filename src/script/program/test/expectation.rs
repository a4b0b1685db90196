//! An expectation: what a test may require, and how it is checked.

use super::subject::Subject;
use anyhow::Result;
use rhai::Dynamic;
use std::fmt;

/// A kind of expectation.
pub struct ExpectationSpec {
    /// Name, a key of `expect`.
    pub name: &'static str,
    /// An example of its value.
    pub example: &'static str,
    /// What it requires.
    pub about: &'static str,
    /// Checks the expectation with this value. Errors if it cannot be checked.
    pub(super) check: fn(&Subject, &Dynamic) -> Result<Vec<Verdict>>,
}

/// Whether an expectation is met.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What was measured and its value, such as `share in [0, 0, 8, 8] is 0.41`.
    pub measured: String,
    /// What was wanted, such as `at least 0.5`.
    pub wanted: String,
    /// Whether the measured value is as wanted.
    pub met: bool,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.met {
            true => f.write_str(&self.measured),
            false => write!(f, "{}, expected {}", self.measured, self.wanted),
        }
    }
}
