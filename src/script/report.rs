//! From an error of the script engine to one that a person can act on.

use super::message::Report;
use rhai::{EvalAltResult, Position};
use std::fmt;

/// Lines shown on either side of the place.
const AROUND: usize = 2;

/// An error that reaches a script: one sentence, its position filled in by the engine.
pub(super) fn raise(error: impl Into<anyhow::Error>) -> Box<EvalAltResult> {
    let text = error.into().chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    Box::new(EvalAltResult::ErrorRuntime(text.into(), Position::NONE))
}

impl Report {
    /// An error with no place in a script.
    pub fn plain(error: &anyhow::Error) -> Self {
        Self { message: format!("{error:#}"), place: None, excerpt: vec![], advice: None }
    }

    /// An error while running the script `name` of text `source`; `functions` are the names that scripts may call.
    pub(super) fn run(name: &str, source: &str, error: &EvalAltResult, functions: &[String]) -> Self {
        let (inner, position) = innermost(error);
        let message = clean(&message(inner));
        let advice = advice(inner, &message, functions);
        Self::at(name, source, position, message, advice)
    }

    fn at(name: &str, source: &str, position: Position, message: String, advice: Option<String>) -> Self {
        let Some(line) = position.line() else {
            return Self { message: format!("{name}: {message}"), place: None, excerpt: vec![], advice };
        };
        let column = position.position().unwrap_or(1);
        let lines = source.lines().enumerate().map(|(i, text)| (i + 1, text.to_string()));
        let excerpt = lines.filter(|(n, _)| n.abs_diff(line) <= AROUND).collect();
        Self { message, place: Some((name.into(), line, column)), excerpt, advice }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            None => write!(f, "{}", self.message)?,
            Some((name, line, column)) => {
                write!(f, "{name}:{line}:{column}: {}", self.message)?;
                for (n, text) in &self.excerpt {
                    let mark = if n == line { '>' } else { ' ' };
                    write!(f, "\n{mark} {n:>4} | {text}")?;
                    if n == line {
                        write!(f, "\n       | {}^", " ".repeat(column.saturating_sub(1)))?;
                    }
                }
            }
        }
        if let Some(advice) = &self.advice {
            write!(f, "\n  {advice}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// The error inside calls of functions, with the last position that is known.
fn innermost(error: &EvalAltResult) -> (&EvalAltResult, Position) {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, position)
        | EvalAltResult::ErrorInModule(_, inner, position) => match innermost(inner) {
            (inner, Position::NONE) => (inner, *position),
            found => found,
        },
        other => (other, other.position()),
    }
}

fn message(error: &EvalAltResult) -> String {
    match error {
        EvalAltResult::ErrorRuntime(text, _) if text.is_string() => text.to_string(),
        EvalAltResult::ErrorTerminated(text, _) => text.to_string(),
        EvalAltResult::ErrorParsing(kind, _) => kind.to_string(),
        EvalAltResult::ErrorSystem(_, inner) => inner.to_string(),
        other => without_place(other),
    }
}

fn without_place(error: &EvalAltResult) -> String {
    let text = error.to_string();
    let place = format!(" ({})", error.position());
    text.strip_suffix(&place).unwrap_or(&text).to_string()
}

/// Rust's names of types as scripts know them.
fn clean(text: &str) -> String {
    let mut text = text.strip_prefix("Runtime error: ").unwrap_or(text).to_string();
    for (rust, ours) in [
        ("candle_core::tensor::Tensor", "Tensor"),
        ("gradscope::script::", ""),
        ("alloc::string::String", "string"),
        ("&str | ImmutableString | String", "string"),
        ("rhai::types::dynamic::Dynamic", "any"),
    ] {
        text = text.replace(rust, ours);
    }
    text
}

/// What would have worked, where that can be told.
fn advice(error: &EvalAltResult, message: &str, functions: &[String]) -> Option<String> {
    match error {
        EvalAltResult::ErrorFunctionNotFound(signature, _) => {
            let name = signature.split([' ', '(']).next().unwrap_or(signature);
            if name.starts_with("anon$") {
                return Some("a closure made by an imported library cannot be called here; let the library export a function and wrap it: |site, r| lib::rule(site, r)".into());
            }
            if functions.iter().any(|f| f == name) {
                return Some(format!("\"{name}\" exists, but not for these types of arguments"));
            }
            let near = closest(name, functions.iter().map(String::as_str))?;
            Some(format!("did you mean \"{near}\"?"))
        }
        EvalAltResult::ErrorDataRace(..) => Some(
            "a closure uses the object whose method it is given to; use the function form: backward(trace, seed, #{ rules: … })"
                .into(),
        ),
        EvalAltResult::ErrorVariableNotFound(..) => {
            Some("functions see their own variables only; constants of the file are global::NAME".into())
        }
        _ if message.contains("whole numbers") => Some("write 7.0 / 2 for a real number".into()),
        _ => None,
    }
}

/// The candidate most like `name`, if any is.
pub(super) fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let alike = candidates.map(|c| (strsim::jaro_winkler(c, name), c));
    alike.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.75).map(|(_, c)| c)
}
