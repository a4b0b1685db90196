//! The specification of a command.

use crate::tui::effect::Effect;
use crate::tui::state::State;

/// A command: its name, its help, how it completes and what it does.
#[derive(Debug)]
pub struct CommandSpec {
    /// The name.
    pub name: &'static str,
    /// Another name.
    pub alias: Option<&'static str>,
    /// The arguments, for the help.
    pub arguments: &'static str,
    /// A summary for the help.
    pub summary: &'static str,
    /// The completions of each argument.
    pub complete: &'static [Complete],
    /// Runs the command with the rest of the line.
    pub execute: fn(&mut State, &str) -> Result<Vec<Effect>, Refused>,
}

/// The completions of an argument.
#[derive(Clone, Copy, Debug)]
pub enum Complete {
    /// One of these names.
    Names(fn(&State) -> Vec<String>),
    /// A path, to the end of the line.
    Path,
}

/// Why a command did not run.
#[derive(Debug)]
pub enum Refused {
    /// The arguments are missing or malformed.
    Usage,
    /// An error message.
    Because(String),
}

impl CommandSpec {
    /// Whether this is its name.
    pub fn is(&self, name: &str) -> bool {
        self.name == name || self.alias == Some(name)
    }
}

impl From<String> for Refused {
    fn from(why: String) -> Self {
        Self::Because(why)
    }
}

/// The rest of a line, which must not be empty.
pub fn required(rest: &str) -> Result<String, Refused> {
    if rest.is_empty() { Err(Refused::Usage) } else { Ok(rest.to_owned()) }
}
