//! Commands that open files: data sets and weights.

use super::spec::{CommandSpec, Complete};
use crate::data::synthetic;
use crate::tui::action::file_browser;
use crate::tui::effect::ask;
use crate::tui::files::FileGoal;
use crate::tui::state::State;
use crate::worker::message::Command;

/// The command `data [DATA]`.
pub const DATA: CommandSpec = CommandSpec {
    name: "data",
    alias: None,
    arguments: "[PATH | made:NAME]",
    summary: "open a data set; without a name, choose one",
    complete: &[Complete::Path(drawn)],
    execute: |state, rest| match rest {
        "" => Ok(file_browser::open(state, FileGoal::Data)),
        spec => Ok(ask(Command::Data(spec.to_owned()))),
    },
};

/// The command `weights [FILE]`.
pub const WEIGHTS: CommandSpec = CommandSpec {
    name: "weights",
    alias: None,
    arguments: "[FILE]",
    summary: "load weights; without a file, choose one",
    complete: &[Complete::Path(|_| Vec::new())],
    execute: |state, rest| match rest {
        "" => Ok(file_browser::open(state, FileGoal::Weights)),
        file => Ok(ask(Command::Weights(file.into()))),
    },
};

/// Names of the data sets that are drawn by the program.
fn drawn(_: &State) -> Vec<String> {
    synthetic::NAMES.iter().map(|name| format!("made:{name}")).collect()
}
