//! Commands for the method, its parameters, its layer and its steps.

use super::spec::{CommandSpec, Complete, Refused, required};
use crate::script::summary::ParamKind;
use crate::tui::action::{file_browser, request};
use crate::tui::effect::ask;
use crate::tui::state::State;
use crate::worker::message::Command;

/// The command `set NAME VALUE`.
pub const SET: CommandSpec = CommandSpec {
    name: "set",
    alias: None,
    arguments: "NAME VALUE",
    summary: "set a parameter; without a value, choose a file if it is one",
    complete: &[Complete::Names(parameters), Complete::Values(values)],
    execute: |state, rest| {
        let (name, value) = rest.split_once([' ', '=']).unwrap_or((rest, ""));
        let name = required(name)?;
        let known = parameters(state);
        if !known.contains(&name) {
            return Err(format!("no parameter named \"{name}\"; expected one of {}", known.join(", ")).into());
        }
        // `set NAME=` means no value.
        let asks = value.trim().is_empty() && !rest.contains('=');
        let goal = state.params().iter().find(|param| param.name == name).and_then(file_browser::goal_of);
        Ok(match goal.filter(|_| asks) {
            Some(goal) => file_browser::open(state, goal),
            None => request::set(state, name, value.trim().to_owned()),
        })
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
    summary: "set the method's layer (a module name selects its output)",
    complete: &[Complete::Names(layers)],
    execute: |state, rest| Ok(request::choose_layer(state, required(rest)?)),
};

/// The command `step N`.
pub const STEP: CommandSpec = CommandSpec {
    name: "step",
    alias: None,
    arguments: "N",
    summary: "go to a step (or just type its number)",
    complete: &[],
    execute: |_, rest| rest.parse().map(|step| ask(Command::Seek(step))).map_err(|_| Refused::Usage),
};

/// The command `revert`.
pub const REVERT: CommandSpec = CommandSpec {
    name: "revert",
    alias: None,
    arguments: "[METHOD]",
    summary: "return to the built-in script of a method",
    complete: &[Complete::Names(own_methods)],
    execute: |state, rest| {
        let open = || state.method.as_ref().map(|method| method.name.clone());
        let name = if rest.is_empty() { open().unwrap_or_default() } else { rest.to_owned() };
        Ok(ask(Command::Revert(name)))
    },
};

/// Names of the user's own methods.
fn own_methods(state: &State) -> Vec<String> {
    state.methods.iter().filter(|m| m.own).map(|m| m.name.clone()).collect()
}

/// Names of all methods.
pub fn methods(state: &State) -> Vec<String> {
    state.methods.iter().map(|m| m.name.clone()).collect()
}

fn parameters(state: &State) -> Vec<String> {
    state.params().iter().map(|p| p.name.clone()).collect()
}

fn layers(state: &State) -> Vec<String> {
    state.layer_param().map_or_else(Vec::new, |(_, kinds)| layers_and_modules(state, kinds))
}

pub(super) fn layers_and_modules(state: &State, kinds: &[String]) -> Vec<String> {
    let modules = state.modules_of(kinds).into_iter().map(|module| module.name);
    state.layers_of(kinds).into_iter().chain(modules).collect()
}

/// The possible values of a parameter, if they are names; `None` if they are files.
fn values(state: &State, param: &str) -> Option<Vec<String>> {
    Some(match state.params().iter().find(|p| p.name == param).map(|p| &p.kind) {
        Some(ParamKind::Array | ParamKind::Pictures) => return None,
        Some(ParamKind::Layer(kinds)) => layers_and_modules(state, kinds),
        Some(ParamKind::Choice(choices)) => choices.clone(),
        Some(ParamKind::Switch) => vec!["true".into(), "false".into()],
        _ => Vec::new(),
    })
}
