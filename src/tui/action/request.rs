//! Worker requests that also change the app's state.

use crate::script::summary::{ParamKind, modules};
use crate::tui::effect::{Effect, ask};
use crate::tui::state::State;
use crate::words::closest;
use crate::worker::message::Command;

/// Runs a method from the start.
pub fn run_method(state: &mut State, name: String) -> Vec<Effect> {
    state.resting = None;
    state.run.playing = false;
    ask(Command::Method(name))
}

/// Sets a parameter, showing the new value before the worker confirms it. The name of a module is replaced by that of its output layer.
pub fn set(state: &mut State, name: String, value: String) -> Vec<Effect> {
    let takes_layer = state.params().iter().any(|p| p.name == name && matches!(p.kind, ParamKind::Layer(_)));
    let output = state.output_of(&value).filter(|_| takes_layer).map(|layer| layer.name.clone());
    let value = output.unwrap_or(value);
    state.edits.insert(name.clone(), value.clone());
    ask(Command::Set(name, value))
}

/// Sets the layer of the method, if the method has a layer parameter that accepts this layer.
pub fn choose_layer(state: &mut State, name: String) -> Vec<Effect> {
    state.resting = None;
    let Some((param, kinds)) = state.layer_param() else {
        let method = state.method.as_ref().map_or("the method", |m| m.name.as_str()).to_owned();
        state.say(format!("{method} has no layer parameter"));
        return Vec::new();
    };
    let (param, kinds) = (param.name.clone(), kinds.to_vec());
    let Some(layer) = state.output_of(&name) else {
        state.say(unknown(state, &name));
        return Vec::new();
    };
    let name = layer.name.clone();
    if !state.layers_of(&kinds).contains(&name) {
        state.say(format!("layer \"{name}\" is of the wrong kind; expected one of {}", kinds.join(", ")));
        return Vec::new();
    }
    set(state, param, name)
}

/// The error message for a name that is neither a layer nor a module.
fn unknown(state: &State, name: &str) -> String {
    let layers = state.model_layers();
    let modules = modules(layers);
    let names = layers.iter().map(|layer| &*layer.name).chain(modules.iter().map(|module| &*module.name));
    match closest(name, names) {
        Some(near) => format!("no layer named \"{name}\"; did you mean \"{near}\"?"),
        None => format!("no layer named \"{name}\"; press l to list them"),
    }
}

/// Cancels the running computation, if any.
pub fn cancel(state: &mut State) -> Vec<Effect> {
    if state.busy.is_none() {
        return Vec::new();
    }
    state.run.playing = false;
    state.say("cancelling");
    ask(Command::Cancel)
}
