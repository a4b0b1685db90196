//! Usage errors: an argument is invalid or names something that does not exist.

use super::out;
use crate::script::summary::Report;
use crate::words;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use std::fmt;
use std::process::ExitCode;

/// A usage error, which makes the program exit with code 2.
#[derive(Debug)]
pub struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Turns an error into a usage error.
pub fn usage(error: anyhow::Error) -> anyhow::Error {
    Usage(sentence(&error)).into()
}

/// The message of an error, without the backtraces that libraries append to it.
pub fn sentence(error: &anyhow::Error) -> String {
    match (error.downcast_ref::<Usage>(), error.downcast_ref::<Report>()) {
        (Some(Usage(sentence)), _) => sentence.clone(),
        (None, Some(report)) => report.to_string(),
        (None, None) => Report::plain(error).to_string(),
    }
}

/// Prints clap's usage error, or the help or version if requested, and returns the exit code.
pub fn refused(mut error: clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match out::written(error.print()) {
            Err(e) if !e.is::<out::Closed>() => {
                out::tell(&format!("error: {}", sentence(&e)));
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        };
    }
    let told: Vec<_> = error.context().map(|(kind, value)| (kind, value.clone())).collect();
    for (kind, value) in told.into_iter().filter(|(kind, _)| *kind != ContextKind::Usage) {
        error.insert(kind, shown(value));
    }
    out::tell_usage(&error.render().to_string());
    ExitCode::from(2)
}

/// Escapes the command line arguments quoted in a value of clap's error.
fn shown(value: ContextValue) -> ContextValue {
    let styled = |text: StyledStr| StyledStr::from(words::name(&text.to_string()).into_owned());
    match value {
        ContextValue::String(text) => ContextValue::String(words::name(&text).into_owned()),
        ContextValue::Strings(all) => {
            ContextValue::Strings(all.iter().map(|text| words::name(text).into_owned()).collect())
        }
        ContextValue::StyledStr(text) => ContextValue::StyledStr(styled(text)),
        ContextValue::StyledStrs(all) => ContextValue::StyledStrs(all.into_iter().map(styled).collect()),
        other => other,
    }
}

/// Whether a name is safe as a file name: nonempty, with only ASCII letters, digits, `-` and `_`.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}
