//! Typed commands: the table of commands, and functions that run and complete a line.
//!
//! To add a command, define a [`CommandSpec`] in a file of this folder and add it to [`COMMANDS`].

mod branch;
mod display;
mod method;
mod network;
mod session;
mod spec;

pub use spec::{CommandSpec, Complete, Refused};

use crate::tui::effect::Effect;
use crate::tui::state::State;

/// All commands, in the order of the help.
pub const COMMANDS: &[&CommandSpec] = &[
    &method::SET,
    &network::MODEL,
    &network::CARD,
    &network::OPEN,
    &network::TARGET,
    &network::ABLATE,
    &method::METHOD,
    &method::LAYER,
    &display::COLORS,
    &display::SCALE,
    &display::THEME,
    &method::STEP,
    &method::REVERT,
    &session::SAVE,
    &session::SESSION,
    &branch::COMPARE,
    &branch::FORK,
    &branch::BRANCH,
    &branch::CLOSE,
    &session::TUTOR,
    &session::QUIT,
];

/// Runs a line: a command, or the number of a step to go to.
///
/// Error messages list the valid alternatives.
pub fn execute(state: &mut State, line: &str) -> Result<Vec<Effect>, String> {
    let line = line.trim();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let step = name.parse::<usize>().is_ok();
    let (name, rest) = if step { (method::STEP.name, name) } else { (name, rest.trim()) };
    let command = COMMANDS.iter().find(|command| command.is(name)).ok_or_else(|| {
        let known: Vec<_> = COMMANDS.iter().map(|command| command.name).collect();
        format!("no command named \"{name}\"; expected one of {}", known.join(", "))
    })?;
    (command.execute)(state, rest).map_err(|refused| match refused {
        Refused::Usage => format!("\"{name}\" expects {}", command.arguments),
        Refused::Because(why) => why,
    })
}

/// How to complete the last word of a line, depending on the command and the word's position; `None` if it has no completions.
pub fn completion(line: &str) -> Option<Complete> {
    let words: Vec<&str> = line.split(' ').collect();
    let [name, arguments @ ..] = words.as_slice() else { return None };
    let Some(last) = arguments.len().checked_sub(1) else { return Some(Complete::Names(names)) };
    let complete = COMMANDS.iter().find(|command| command.is(name))?.complete;
    // A path may contain spaces, and an expression has several words.
    let open = |c: &&Complete| matches!(c, Complete::Path | Complete::Words(_));
    complete.get(last).or(complete.last().filter(open)).copied()
}

/// The names that start with the last word of a line.
pub fn offers(line: &str, names: Vec<String>) -> Vec<String> {
    let last = line.rsplit(' ').next().unwrap_or("");
    names.into_iter().filter(|name| name.starts_with(last)).collect()
}

/// The second-to-last word of a line, or an empty string.
pub fn before_last(line: &str) -> &str {
    line.rsplit(' ').nth(1).unwrap_or("")
}

fn names(_: &State) -> Vec<String> {
    COMMANDS.iter().map(|command| command.name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::summary::{MethodCard, ParamKind, ParamRow};
    use crate::worker::message::Command;

    #[test]
    fn set_takes_a_value_or_none() {
        let param = |name: &str| ParamRow {
            name: name.into(),
            doc: String::new(),
            kind: ParamKind::Text,
            value: String::new(),
            default: String::new(),
        };
        let params = ["epsilon", "goal"].map(param).to_vec();
        let method = MethodCard { name: "push".into(), doc: String::new(), stepped: true, params };
        let mut state = State { method: Some(method), ..State::new(80, 24) };
        for (line, name, value) in [("set epsilon 8", "epsilon", "8"), ("set goal=", "goal", "")] {
            let set = Command::Set(name.into(), value.into());
            assert_eq!(execute(&mut state, line), Ok(vec![Effect::Ask(set)]), "{line}");
        }
    }

    fn run(line: &str) -> Result<Vec<Effect>, String> {
        execute(&mut State::new(80, 24), line)
    }

    #[test]
    fn a_line_runs_its_command() {
        let model = Command::Model { name: "resnet20".into(), weights: Some("a/b.th".into()) };
        let cases = [
            ("model resnet20 a/b.th", Effect::Ask(model)),
            ("open a picture.png", Effect::Ask(Command::Picture("a picture.png".into()))),
            ("target", Effect::Ask(Command::Target(None))),
            ("25", Effect::Ask(Command::Seek(25))),
            (" quit ", Effect::Quit),
            ("q", Effect::Quit),
        ];
        for (line, effect) in cases {
            assert_eq!(run(line), Ok(vec![effect]), "{line}");
        }
    }

    #[test]
    fn a_line_that_cannot_run_says_what_would_have_worked() {
        assert!(run("sett a 1").unwrap_err().contains("expected one of set, model"));
        assert_eq!(run("open").unwrap_err(), "\"open\" expects PICTURE");
        assert_eq!(run("session a/b").unwrap_err(), "\"session\" expects NAME");
        assert!(run("set epsilon 8").unwrap_err().starts_with("no parameter named \"epsilon\""));
    }

    #[test]
    fn each_word_completes_as_its_argument() {
        let is_path = |line| matches!(completion(line), Some(Complete::Path));
        assert!(["open ph", "open a b", "save ", "model tiny we"].into_iter().all(is_path));
        let is_name = |line| matches!(completion(line), Some(Complete::Names(_)));
        assert!(["", "op", "model ti", "set st", "compare c"].into_iter().all(is_name));
        assert!(matches!(completion("set strength 1"), Some(Complete::Values(_))));
        let is_word = |line| matches!(completion(line), Some(Complete::Words(_)));
        assert!(["target c", "target cat - d", "target person @ "].into_iter().all(is_word));
        assert!(["set strength 1 2", "fork ", "nothing "].into_iter().all(|line| completion(line).is_none()));
    }
}
