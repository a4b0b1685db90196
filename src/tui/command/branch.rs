//! Commands for branches of a run.

use super::method::methods;
use super::network::class_of;
use super::spec::{CommandSpec, Complete, required};
use crate::script::session::Target;
use crate::tui::effect::{Effect, ask};
use crate::worker::message::Command;

/// The command `fork`.
pub const FORK: CommandSpec = CommandSpec {
    name: "fork",
    alias: None,
    arguments: "",
    summary: "fork a branch here",
    complete: &[],
    execute: |_, _| Ok(ask(Command::Fork)),
};

/// The command `branch LETTER`.
pub const BRANCH: CommandSpec = CommandSpec {
    name: "branch",
    alias: None,
    arguments: "LETTER",
    summary: "switch to a branch",
    complete: &[],
    execute: |state, rest| Ok(ask(Command::Branch(state.branches.named(&required(rest)?)?))),
};

/// The command `close`.
pub const CLOSE: CommandSpec = CommandSpec {
    name: "close",
    alias: None,
    arguments: "",
    summary: "close the open branch",
    complete: &[],
    execute: |_, _| Ok(ask(Command::CloseBranch)),
};

/// The command `compare NAME`.
pub const COMPARE: CommandSpec = CommandSpec {
    name: "compare",
    alias: None,
    arguments: "NAME",
    summary: "compare with a method or class",
    complete: &[Complete::Names(methods)],
    execute: |state, rest| {
        let name = required(rest)?;
        let other = if state.methods.iter().any(|m| m.name == name) {
            Command::Method(name)
        } else {
            let class = class_of(state, &name).map_err(|_| format!("no method or class named \"{name}\""))?;
            Command::Target(Some(Target::Class(class)))
        };
        state.branches.compared = true;
        Ok(vec![Effect::Ask(Command::Fork), Effect::Ask(other)])
    },
};
