//! Typed commands: the table of commands, and functions that run and complete a line.
//!
//! To add a command, define a [`CommandSpec`] in a file of this folder and add it to [`COMMANDS`].

mod branch;
mod display;
mod files;
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
    &files::DATA,
    &files::WEIGHTS,
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

/// How to complete the end of a line, depending on the command and the position, and the byte at which what is completed begins;
/// `None` if there are no completions.
pub fn completion(line: &str) -> Option<(Complete, usize)> {
    let words: Vec<&str> = line.split(' ').collect();
    let [name, arguments @ ..] = words.as_slice() else { return None };
    let Some(last) = arguments.len().checked_sub(1) else { return Some((Complete::Names(names), 0)) };
    let complete = COMMANDS.iter().find(|command| command.is(name))?.complete;
    // A path may contain spaces, and an expression has several words.
    let open = |c: &&Complete| matches!(c, Complete::Path(_) | Complete::Words(_) | Complete::Values(_));
    let found = *complete.get(last).or(complete.last().filter(open))?;
    let argument = match found {
        Complete::Path(_) | Complete::Values(_) => last.min(complete.len() - 1),
        _ => last,
    };
    let start = line.match_indices(' ').nth(argument).map_or(0, |(at, _)| at + 1);
    Some((found, start))
}

/// The names that start with `text`.
pub fn offers(text: &str, names: Vec<String>) -> Vec<String> {
    names.into_iter().filter(|name| name.starts_with(text)).collect()
}

/// The word of a line before the byte `start`, where another word begins, or an empty string.
pub fn before(line: &str, start: usize) -> &str {
    line.get(..start).and_then(|line| line.split(' ').nth_back(1)).unwrap_or("")
}

fn names(_: &State) -> Vec<String> {
    COMMANDS.iter().map(|command| command.name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::summary::{MethodCard, ParamKind, ParamRow};
    use crate::tui::files::FileGoal;
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
            ("data made:shapes", Effect::Ask(Command::Data("made:shapes".into()))),
            ("weights a b.pth", Effect::Ask(Command::Weights("a b.pth".into()))),
            ("data", Effect::ReadFolder(FileGoal::Data, ".".into())),
            ("weights", Effect::ReadFolder(FileGoal::Weights, ".".into())),
            ("open", Effect::ReadFolder(FileGoal::Picture, ".".into())),
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
        assert_eq!(run("save").unwrap_err(), "\"save\" expects PATH");
        assert_eq!(run("session a/b").unwrap_err(), "\"session\" expects NAME");
        assert!(run("set epsilon 8").unwrap_err().starts_with("no parameter named \"epsilon\""));
    }

    #[test]
    fn each_word_completes_as_its_argument() {
        let path = |line: &'static str| match completion(line) {
            Some((Complete::Path(_), start)) => &line[start..],
            _ => "no path",
        };
        let lines = ["open ph", "open a b", "save ", "model tiny we", "model tiny a b", "data d", "weights w"];
        assert_eq!(lines.map(path), ["ph", "a b", "", "we", "a b", "d", "w"], "a path may contain spaces");
        let how = |line| completion(line).map(|(how, _)| how);
        let is_name = |line| matches!(how(line), Some(Complete::Names(_)));
        assert!(["", "op", "model ti", "set st", "compare c"].into_iter().all(is_name));
        assert!(matches!(completion("set strength 1"), Some((Complete::Values(_), 13))));
        assert_eq!(before("set strength 1", 13), "strength");
        let is_word = |line| matches!(how(line), Some(Complete::Words(_)));
        assert!(["target c", "target cat - d", "target person @ "].into_iter().all(is_word));
        assert!(["fork ", "nothing "].into_iter().all(|line| completion(line).is_none()));
    }
}
