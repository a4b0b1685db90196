//! The specification of a command.

use crate::tui::effect::Effect;
use crate::tui::state::State;

/// A command: its name, help, argument completion and effect.
#[derive(Debug)]
pub struct CommandSpec {
    /// Name of the command.
    pub name: &'static str,
    /// Alternative name of the command.
    pub alias: Option<&'static str>,
    /// Arguments of the command, as shown in the help.
    pub arguments: &'static str,
    /// One-line summary for the help.
    pub summary: &'static str,
    /// How each argument is completed, in order.
    pub complete: &'static [Complete],
    /// Runs the command with the rest of the line after its name.
    pub execute: fn(&mut State, &str) -> Result<Vec<Effect>, Refused>,
}

/// How an argument is completed.
#[derive(Clone, Copy, Debug)]
pub enum Complete {
    /// The argument is one of the names returned by this function.
    Names(fn(&State) -> Vec<String>),
    /// The argument is one of the values returned by this function for the previous argument, or a path if it returns `None`.
    Values(fn(&State, &str) -> Option<Vec<String>>),
    /// The argument is an expression of any number of words, each one of the names returned by this function.
    Words(fn(&State) -> Vec<String>),
    /// The argument is a file path, or one of the names returned by this function. It extends to the end of the line.
    Path(fn(&State) -> Vec<String>),
}

/// Why a command did not run.
#[derive(Debug)]
pub enum Refused {
    /// The arguments are missing or malformed.
    Usage,
    /// The command failed with this error message.
    Because(String),
}

impl CommandSpec {
    /// Whether `name` is the name or the alias of the command.
    pub fn is(&self, name: &str) -> bool {
        self.name == name || self.alias == Some(name)
    }
}

impl From<String> for Refused {
    fn from(why: String) -> Self {
        Self::Because(why)
    }
}

/// The rest of a line. Errors if it is empty.
pub fn required(rest: &str) -> Result<String, Refused> {
    if rest.is_empty() { Err(Refused::Usage) } else { Ok(rest.to_owned()) }
}
