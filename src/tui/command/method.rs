//! Commands for the method, its parameters, its layer and its steps.

use super::spec::{CommandSpec, Complete, Refused, required};
use crate::tui::action::request;
use crate::tui::effect::ask;
use crate::tui::state::State;
use crate::worker::message::Command;

/// The command `set NAME VALUE`.
pub const SET: CommandSpec = CommandSpec {
    name: "set",
    alias: None,
    arguments: "NAME VALUE",
    summary: "set a parameter",
    complete: &[Complete::Names(parameters)],
    execute: |state, rest| {
        let (name, value) = rest.split_once([' ', '=']).unwrap_or((rest, ""));
        let name = required(name)?;
        let known = parameters(state);
        if !known.contains(&name) {
            return Err(format!("no parameter named \"{name}\"; expected one of {}", known.join(", ")).into());
        }
        Ok(request::set(state, name, value.trim().to_owned()))
    },
};

/// The command `method NAME`.
pub const METHOD: CommandSpec = CommandSpec {
    name: "method",
    alias: None,
    arguments: "NAME",
    summary: "run a method",
    complete: &[Complete::Names(methods)],
    execute: |state, rest| Ok(request::run_method(state, required(rest)?)),
};

/// The command `layer NAME`.
pub const LAYER: CommandSpec = CommandSpec {
    name: "layer",
    alias: None,
    arguments: "NAME",
    summary: "set the method's layer; a module's name stands for its output",
    complete: &[Complete::Names(layers)],
    execute: |state, rest| Ok(request::choose_layer(state, required(rest)?)),
};

/// The command `step N`.
pub const STEP: CommandSpec = CommandSpec {
    name: "step",
    alias: None,
    arguments: "N",
    summary: "go to a step (or type just its number)",
    complete: &[],
    execute: |_, rest| rest.parse().map(|step| ask(Command::Seek(step))).map_err(|_| Refused::Usage),
};

/// Names of all methods.
pub fn methods(state: &State) -> Vec<String> {
    state.methods.iter().map(|m| m.name.clone()).collect()
}

fn parameters(state: &State) -> Vec<String> {
    state.params().iter().map(|p| p.name.clone()).collect()
}

fn layers(state: &State) -> Vec<String> {
    let Some((_, kinds)) = state.layer_param() else { return Vec::new() };
    [state.layers_of(kinds), state.modules_of(kinds)].concat()
}
