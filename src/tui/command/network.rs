//! Commands for the model, the picture and the target class.

use super::method::layers_and_modules;
use super::spec::{CommandSpec, Complete, Refused, required};
use crate::model::card::CardRow;
use crate::model::target::TargetExpression;
use crate::render::cell;
use crate::script::session::Target;
use crate::tui::action::file_browser;
use crate::tui::effect::ask;
use crate::tui::files::FileGoal;
use crate::tui::state::{Fuzzy, State, Tone};
use crate::worker::message::Command;
use std::path::PathBuf;

/// The command `model NAME [WEIGHTS]`.
pub const MODEL: CommandSpec = CommandSpec {
    name: "model",
    alias: None,
    arguments: "NAME [WEIGHTS]",
    summary: "open a model",
    complete: &[Complete::Names(models), Complete::Path(|_| Vec::new())],
    execute: |_, rest| {
        let (name, weights) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let weights = (!weights.is_empty()).then(|| PathBuf::from(weights.trim()));
        Ok(ask(Command::Model { name: required(name)?, weights }))
    },
};

/// The command `card`.
pub const CARD: CommandSpec = CommandSpec {
    name: "card",
    alias: None,
    arguments: "",
    summary: "log the model's preprocessing and class names, and their sources",
    complete: &[],
    execute: |state, _| {
        let rows = state.model.as_ref().map_or(&[][..], |model| &model.card).to_vec();
        for CardRow { name, value, source } in &rows {
            state.note(Tone::Plain, format!("{name}: {value} ({source})"));
        }
        state.say(if rows.is_empty() { "no model is open" } else { "the card was written to the log" });
        Ok(Vec::new())
    },
};

/// The command `open PICTURE`.
pub const OPEN: CommandSpec = CommandSpec {
    name: "open",
    alias: None,
    arguments: "[PICTURE]",
    summary: "open a picture; without a name, choose a file",
    complete: &[Complete::Path(|_| Vec::new())],
    execute: |state, rest| match rest {
        "" => Ok(file_browser::open(state, FileGoal::Picture)),
        picture => Ok(ask(Command::Picture(picture.to_owned()))),
    },
};

/// The command `target TARGET`.
pub const TARGET: CommandSpec = CommandSpec {
    name: "target",
    alias: None,
    arguments: "TARGET",
    summary: "set the target: a class, cat - dog, person @ 120,80, like:other.jpg, …",
    complete: &[Complete::Words(target_words)],
    execute: |state, rest| {
        let target = match rest {
            "" => None,
            text if TargetExpression::is_more_than_a_class(text) && !has_class(state, text) => {
                Some(Target::Expression(text.into()))
            }
            text => Some(Target::Class(class_of(state, text)?)),
        };
        Ok(ask(Command::Target(target)))
    },
};

/// The command `ablate [UNIT]`.
pub const ABLATE: CommandSpec = CommandSpec {
    name: "ablate",
    alias: None,
    arguments: "[LAYER:channel=N | LAYER:head=N | LAYER:token=N]",
    summary: "set a unit to zero, or restore it; without a unit, restore all",
    complete: &[Complete::Names(units)],
    execute: |_, rest| Ok(ask(Command::Ablate((!rest.is_empty()).then(|| rest.to_owned())))),
};

/// The units that are off, and the start of each layer's units.
fn units(state: &State) -> Vec<String> {
    let layers = layers_and_modules(state, &[]).into_iter().map(|layer| format!("{layer}:channel="));
    state.ablated.iter().cloned().chain(layers).collect()
}

/// Whether the network has a class with exactly this name.
fn has_class(state: &State, text: &str) -> bool {
    state.model.as_ref().is_some_and(|model| model.labels.iter().any(|label| label == text))
}

/// The words of a target expression: class names, the position under the ring, and the other forms.
fn target_words(state: &State) -> Vec<String> {
    let labels = state.model.as_ref().map_or(vec![], |model| model.labels.to_vec());
    let size = state.picture.as_ref().and_then(|picture| picture.pixels.shape.get(1..3));
    let position =
        state.lens.mark.zip(size).map(|((x, y), size)| format!("@ {},{}", cell(x, size[1]), cell(y, size[0])));
    let forms = ["max", "output", "like:", "text:", "in", "+", "-"].map(String::from);
    labels.into_iter().chain(position).chain(forms).collect()
}

/// Index of a class specified by index or name. Names are matched exactly, then ignoring case, then fuzzily. Errors if no class
/// matches.
pub fn class_of(state: &State, text: &str) -> Result<usize, Refused> {
    let labels = state.model.as_ref().map_or(&[][..], |m| &m.labels);
    if let Ok(index) = text.parse::<usize>() {
        let known = labels.is_empty() || index < labels.len();
        return known
            .then_some(index)
            .ok_or_else(|| format!("no class {index}; there are {} classes", labels.len()).into());
    }
    let exact = labels.iter().position(|l| l == text).or_else(|| {
        let mut same = (0..labels.len()).filter(|&i| labels[i].eq_ignore_ascii_case(text));
        same.next().filter(|_| same.next().is_none())
    });
    let mut fuzzy = Fuzzy::new(text);
    let mut near = || labels.iter().enumerate().filter_map(|(i, l)| Some((fuzzy.score(l)?, i))).max();
    let class = exact.or_else(|| near().map(|(_, i)| i));
    class.ok_or_else(|| format!("no class named \"{text}\"; press t to list them").into())
}

fn models(state: &State) -> Vec<String> {
    state.models.iter().map(|m| m.name.clone()).collect()
}
