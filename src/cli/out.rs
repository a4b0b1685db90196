//! Writes to stdout and stderr. All output goes through this module, so that everything printed is escaped.
//!
//! Failing to write to stdout is an error; failing to write to stderr is ignored. Continuation lines of messages are indented, so
//! that only the program's own errors start a line with `error:`. Python code is not indented, so that it runs as printed.
#![allow(clippy::disallowed_methods)]

use crate::data::notes;
use crate::model::python::is_code;
use crate::words;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fmt;
use std::io::{ErrorKind, Write, stderr, stdout};

/// Value of `errno` for an input/output error on Unix.
const EIO: i32 = 5;

/// Prints text for the user to stdout; long lines are truncated.
pub fn say(text: &str) -> Result<()> {
    write(&words::text(text))
}

/// Prints data to stdout; long lines are not truncated.
pub fn data(text: &str) -> Result<()> {
    write(&words::escaped(text))
}

/// Prints indented JSON to stdout.
pub fn json(document: &Value) -> Result<()> {
    write(&words::json(document))
}

/// Prints JSON on one line to stdout.
pub fn json_line(document: &Value) -> Result<()> {
    write(&words::json_line(document))
}

/// Prints a message to stderr.
pub fn tell(message: &str) {
    let stands = |line: &str| line.starts_with([' ', '\t', '>']) || is_code(line);
    let _ = writeln!(stderr().lock(), "{}", in_one(&words::text(message), stands));
}

/// Prints pending notes to stderr and clears them.
pub fn tell_notes() {
    notes::take().iter().for_each(|note| tell(note));
}

/// Prints a usage error in clap's layout to stderr.
pub fn tell_usage(message: &str) {
    let message = words::text(message.trim_end());
    let _ = writeln!(stderr().lock(), "{}", in_one(&message, is_of_usage));
}

/// Whether a line belongs to clap's layout of usage errors.
fn is_of_usage(line: &str) -> bool {
    [" ", "Usage: ", "For more information"].iter().any(|begins| line.starts_with(begins))
}

/// Indents all lines of a message after the first, except those for which `stands` returns true.
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

/// Adds context to the result of writing to stdout; the error is [`Closed`] if the reader has closed stdout.
pub fn written(result: std::io::Result<()>) -> Result<()> {
    match result {
        // Writing to a closed terminal fails with EIO.
        Err(e) if e.kind() == ErrorKind::BrokenPipe || (cfg!(unix) && e.raw_os_error() == Some(EIO)) => bail!(Closed),
        written => written.context("writing to stdout"),
    }
}

/// The error if the reader has closed stdout. It does not count as a failure: `gradscope methods | head` must succeed.
#[derive(Debug)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stdout is closed")
    }
}

impl std::error::Error for Closed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_continuation_line_of_a_message_looks_like_another_message() {
        let of_a_script = "a.rhai:1:2: no\n>    1 | x\n       | ^\n  did you mean y?";
        assert_eq!(in_one(of_a_script, |line| line.starts_with([' ', '\t', '>'])), of_a_script);
        assert_eq!(in_one("a\nerror: b\n\nc", |line| line.starts_with(' ')), "a\n  error: b\n\n  c");
        let usage = "error: no\n\nError: b\nwarning: c\nUsage: gradscope";
        assert_eq!(in_one(usage, is_of_usage), "error: no\n\n  Error: b\n  warning: c\nUsage: gradscope");
    }
}
