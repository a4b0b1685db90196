//! The only way out: what the program says on stdout and stderr, escaped, whatever stands behind them.
//!
//! A full or closed stdout is an error; a stderr that takes nothing is none, there is nobody left to tell. What begins a line
//! with `error:` is an error of the program: a message's further lines are indented.
#![allow(clippy::disallowed_methods)]

use crate::data::notes;
use crate::words;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fmt;
use std::io::{ErrorKind, Write, stderr, stdout};

/// The number of an error of input and output on Unix.
const EIO: i32 = 5;

/// Lines for people on stdout: each bounded.
pub fn say(text: &str) -> Result<()> {
    write(&words::text(text))
}

/// Lines of data on stdout, of any length.
pub fn data(text: &str) -> Result<()> {
    write(&words::escaped(text))
}

/// A document on stdout.
pub fn json(document: &Value) -> Result<()> {
    write(&words::json(document))
}

/// The same on one line.
pub fn json_line(document: &Value) -> Result<()> {
    write(&words::json_line(document))
}

/// A message on stderr.
pub fn tell(message: &str) {
    let _ = writeln!(stderr().lock(), "{}", in_one(&words::text(message), |line| line.starts_with([' ', '\t', '>'])));
}

/// Prints the notes that are waiting, on stderr.
pub fn tell_notes() {
    notes::take().iter().for_each(|note| tell(note));
}

/// A usage error as clap lays it out.
pub fn tell_usage(message: &str) {
    let message = words::text(message.trim_end());
    let _ = writeln!(stderr().lock(), "{}", in_one(&message, is_of_usage));
}

/// Whether a line is one of clap's own.
fn is_of_usage(line: &str) -> bool {
    [" ", "Usage: ", "For more information"].iter().any(|begins| line.starts_with(begins))
}

/// A message whose further lines are indented but for those that may stand as they are.
fn in_one(message: &str, stands: impl Fn(&str) -> bool) -> String {
    let indented = |(i, line): (usize, &str)| match i == 0 || line.is_empty() || stands(line) {
        true => line.to_string(),
        false => format!("  {line}"),
    };
    message.split('\n').enumerate().map(indented).collect::<Vec<_>>().join("\n")
}

fn write(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()))
}

/// What became of writing to stdout; [`Closed`] where nobody reads it any more.
pub fn written(result: std::io::Result<()>) -> Result<()> {
    match result {
        // A terminal that is gone answers with an error of input and output.
        Err(e) if e.kind() == ErrorKind::BrokenPipe || (cfg!(unix) && e.raw_os_error() == Some(EIO)) => bail!(Closed),
        written => written.context("writing to stdout"),
    }
}

/// Nobody reads stdout any more: `gradscope methods | head` is no error.
#[derive(Debug)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads stdout any more")
    }
}

impl std::error::Error for Closed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_further_line_of_a_message_can_be_taken_for_another_message() {
        let of_a_script = "a.rhai:1:2: no\n>    1 | x\n       | ^\n  did you mean y?";
        assert_eq!(in_one(of_a_script, |line| line.starts_with([' ', '\t', '>'])), of_a_script);
        assert_eq!(in_one("a\nerror: b\n\nc", |line| line.starts_with(' ')), "a\n  error: b\n\n  c");
        let usage = "error: no\n\nError: b\nwarning: c\nUsage: gradscope";
        assert_eq!(in_one(usage, is_of_usage), "error: no\n\n  Error: b\n  warning: c\nUsage: gradscope");
    }
}
