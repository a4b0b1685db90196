//! Converts script engine errors to actionable reports.

mod loops;
pub(crate) mod suggest;

use super::sandbox::guard::ENDLESS;
use super::summary::Report;
use crate::interrupt::Stopped;
use crate::model::python::NoGraph;
use crate::words;
use rhai::{EvalAltResult, Position};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
pub(crate) use suggest::closest;
use suggest::{advice, message};

/// Number of lines shown before and after the error.
const AROUND: usize = 2;

/// The source code of libraries as compiled, by name, such as `lib/attack`.
pub(super) type Libraries = Arc<BTreeMap<String, String>>;

/// The source code of a script and its libraries, for locating errors.
pub(super) struct Texts<'a> {
    /// Name of the script.
    pub name: &'a str,
    /// Source code of the script.
    pub text: &'a str,
    /// Source code of the libraries imported by the script.
    pub libraries: &'a Libraries,
}

/// Wraps a script error that propagates through native code, such as one in a closure called by a native function.
#[derive(Debug)]
pub(super) struct Inner(pub Box<EvalAltResult>);

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&message(&self.0))
    }
}

impl std::error::Error for Inner {}

/// The prefix that marks a stack frame added by native code around a script error.
const NATIVE: &str = "native ";

/// Converts an error to a script error with a one-sentence message. The engine fills in the position. Scripts cannot catch
/// cancellation, and errors in closures keep their position.
pub(super) fn raise(error: impl Into<anyhow::Error>) -> Box<EvalAltResult> {
    raise_at(error, Position::NONE)
}

/// Converts an error to a script error at a known position. Scripts cannot catch cancellation, and errors in closures keep their
/// position.
pub(super) fn raise_at(error: impl Into<anyhow::Error>, position: Position) -> Box<EvalAltResult> {
    let error = error.into();
    let texts: Vec<_> = error.chain().map(without_backtrace).collect();
    if error.root_cause().is::<Stopped>() {
        return Box::new(EvalAltResult::ErrorTerminated(error.root_cause().to_string().into(), position));
    }
    match error.downcast::<Inner>() {
        Ok(Inner(inner)) if matches!(*inner, EvalAltResult::ErrorTerminated(..)) => inner,
        Ok(Inner(inner)) => {
            let around = format!("{NATIVE}{}", texts[..texts.len() - 1].join(": "));
            Box::new(EvalAltResult::ErrorInFunctionCall(around, String::new(), inner, Position::NONE))
        }
        Err(_) => Box::new(EvalAltResult::ErrorRuntime(texts.join(": ").into(), position)),
    }
}

/// The message of an error, without the backtrace that candle appends if enabled by the environment.
fn without_backtrace(error: &(dyn std::error::Error + 'static)) -> String {
    let text = error.to_string();
    words::line(text.split("\n   0: ").next().unwrap_or_default().trim_end()).into_owned()
}

impl Report {
    /// A report without a position in a script.
    pub fn plain(error: &anyhow::Error) -> Self {
        let texts: Vec<_> = error.chain().map(without_backtrace).collect();
        let python =
            error.chain().find_map(|e| e.downcast_ref::<NoGraph>()).map(|e| e.lines.clone()).unwrap_or_default();
        Self { message: texts.join(": "), place: None, excerpt: vec![], advice: None, python }
    }

    /// Extracts the report carried by an error. An error without one becomes a report without a position.
    pub fn of(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(report) => report,
            Err(error) => Self::plain(&error),
        }
    }

    /// A report of an error in a script that occurred while calling `function`, or while compiling if `function` is `None`. `functions`
    /// lists the signatures available to scripts.
    pub(super) fn run(
        texts: &Texts,
        error: &EvalAltResult,
        function: Option<&str>,
        functions: impl Fn() -> Vec<String>,
    ) -> Self {
        let mut found = find(error, texts.name);
        let libraries = texts.libraries.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let scripts: Vec<_> = [(texts.name, texts.text)].into_iter().chain(libraries).collect();
        let loops = if is_endless(found.error) { loops::endless(&scripts) } else { vec![] };
        if let (true, Some((script, position))) = (found.position.is_none(), loops.first()) {
            (found.script, found.position) = (script, *position);
        }
        if found.position.is_none() {
            found.position = guess(texts.text, found.error, function);
        }
        let mut message = message(found.error);
        if !found.around.is_empty() {
            message = format!("{}: {message}", found.around.join(": "));
        }
        let advice = advice(found.error, functions).or(found.called()).or(one_of(&loops, texts.name));
        let text = if found.script == texts.name { Some(texts.text) } else { None };
        let text = text.or(texts.libraries.get(found.script).map(String::as_str)).unwrap_or_default();
        Self::at(found.script, text, found.position, message, advice)
    }

    /// A report located at the first line of the script `text` that contains `needle`, or at its start.
    pub(super) fn at_text(name: &str, text: &str, needle: &str, message: String) -> Self {
        Self::at(name, text, line_with(text, needle).unwrap_or(Position::new(1, 1)), message, None)
    }

    fn at(name: &str, text: &str, position: Position, message: String, advice: Option<String>) -> Self {
        let Some(line) = position.line() else {
            let message = format!("{}: {message}", words::name(name));
            return Self { message, place: None, excerpt: vec![], advice, python: vec![] };
        };
        let column = position.position().unwrap_or(1);
        let lines = text.lines().enumerate().map(|(i, text)| (i + 1, text.to_string()));
        let excerpt = lines.filter(|(n, _)| n.abs_diff(line) <= AROUND).collect();
        Self { message, place: Some((name.into(), line, column)), excerpt, advice, python: vec![] }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            None => write!(f, "{}", words::line(&self.message))?,
            Some((name, line, column)) => {
                write!(f, "{}:{line}:{column}: {}", words::name(name), words::line(&self.message))?;
                for (n, text) in &self.excerpt {
                    let mark = if n == line { '>' } else { ' ' };
                    write!(f, "\n{mark} {n:>4} | {}", words::code(text))?;
                    if n == line {
                        write!(f, "\n       | {}^", blank(text, *column))?;
                    }
                }
            }
        }
        if let Some(advice) = &self.advice {
            write!(f, "\n  {}", words::line(advice))?;
        }
        self.python.iter().try_for_each(|line| write!(f, "\n{}", words::line(line)))
    }
}

impl std::error::Error for Report {}

/// Whitespace of the same width as `text` up to `column`, preserving tabs, for placing a marker below that column.
fn blank(text: &str, column: usize) -> String {
    let before = text.chars().chain(std::iter::repeat(' ')).take(column.saturating_sub(1));
    before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect()
}

/// The innermost error of nested script calls, with its position and call chain.
struct Found<'a> {
    error: &'a EvalAltResult,
    script: &'a str,
    position: Position,
    /// Context messages that native code added around the error, outermost first.
    around: Vec<&'a str>,
    /// The name of the other script whose call led to the error, and the call's position.
    caller: Option<(&'a str, Position)>,
}

impl Found<'_> {
    fn called(&self) -> Option<String> {
        let (script, position) = self.caller?;
        position.line().map(|line| format!("called from {script}:{line}"))
    }
}

fn find<'a>(error: &'a EvalAltResult, script: &'a str) -> Found<'a> {
    match error {
        EvalAltResult::ErrorInFunctionCall(name, source, inner, position) => {
            let own = if source.is_empty() { script } else { source };
            let mut found = find(inner, own);
            found.around.splice(0..0, name.strip_prefix(NATIVE).filter(|a| !a.is_empty()));
            through(found, script, *position)
        }
        EvalAltResult::ErrorInModule(path, inner, position) => through(find(inner, path), script, *position),
        other => Found { error: other, script, position: other.position(), around: vec![], caller: None },
    }
}

/// Records that an error was raised inside the call at `position` in `script`.
fn through<'a>(mut found: Found<'a>, script: &'a str, position: Position) -> Found<'a> {
    if found.position.is_none() {
        (found.script, found.position) = (script, position);
    } else if found.script != script && !position.is_none() {
        found.caller = Some((script, position));
    }
    found
}

/// Whether a script was stopped because it did not end.
fn is_endless(error: &EvalAltResult) -> bool {
    matches!(error, EvalAltResult::ErrorTerminated(why, _) if why.to_string().contains(ENDLESS))
}

/// The advice for a script `own` if several loops in it and its libraries may not have ended.
fn one_of(loops: &[(&str, Position)], own: &str) -> Option<String> {
    let place = |(script, at): &(&str, Position)| {
        let line = at.line()?;
        Some(if *script == own { format!("line {line}") } else { format!("line {line} of {script}") })
    };
    let places: Vec<_> = loops.iter().filter_map(place).collect();
    let (last, others) = places.split_last().filter(|(_, others)| !others.is_empty())?;
    Some(format!("the loop that did not end is in {} or {last}", others.join(", ")))
}

/// Guesses the position of an error that has none: the call to the function that rejected its arguments, if unique, otherwise the
/// start of the script function `function`.
fn guess(text: &str, error: &EvalAltResult, function: Option<&str>) -> Position {
    if let EvalAltResult::ErrorDataRace(what, _) = error {
        let name = what.split('\'').nth(1).unwrap_or_default();
        let calls =
            [format!(".{name}("), format!("{name}(")].into_iter().find(|call| text.matches(call.as_str()).count() == 1);
        if let Some(position) = calls.and_then(|call| line_with(text, &call)) {
            return position;
        }
    }
    function.and_then(|f| line_with(text, &format!("fn {f}("))).unwrap_or(Position::NONE)
}

/// The position of the first occurrence of `needle` in `text`, if any.
pub(super) fn line_with(text: &str, needle: &str) -> Option<Position> {
    let (line, column) = text.lines().enumerate().find_map(|(i, l)| Some((i, l.find(needle)?)))?;
    let column = text.lines().nth(line)?[..column].chars().count();
    Some(Position::new(u16::try_from(line + 1).ok()?, u16::try_from(column + 1).ok()?))
}
