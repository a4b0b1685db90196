//! What the host says of methods, networks and steps: plain values, no tensors.

use crate::render::Figure;
use std::path::PathBuf;

/// One method of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodRow {
    /// Its file name without `.rhai`.
    pub name: String,
    /// Its group: `attribution`, `attack`, …
    pub group: String,
    /// First line of its doc.
    pub summary: String,
    /// The file, when it is not the embedded one.
    pub path: Option<PathBuf>,
    /// Line of the error that keeps it, or its newest version, from loading.
    pub broken: Option<usize>,
}

/// One architecture of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRow {
    /// Its name.
    pub name: String,
    /// First line of its doc.
    pub summary: String,
    /// Whether the binary carries weights for it.
    pub weights: bool,
}

/// An open model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// Its name.
    pub name: String,
    /// Where it computes: `cpu`.
    pub device: String,
    /// Its layers in order.
    pub layers: Vec<LayerRow>,
    /// Names of its classes, by index.
    pub labels: Vec<String>,
    /// Numbers in all its parameters.
    pub parameters: usize,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerRow {
    /// Its name: `features.3.squeeze`.
    pub name: String,
    /// Its kind: `conv`.
    pub kind: String,
    /// Shape of its value for one picture, without the batch.
    pub shape: Vec<usize>,
    /// Numbers in its parameters.
    pub parameters: usize,
}

/// The present method.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodCard {
    /// Its name.
    pub name: String,
    /// All of its `//!` doc.
    pub doc: String,
    /// Whether it has steps.
    pub stepped: bool,
    /// Its parameters in the order declared.
    pub params: Vec<ParamRow>,
}

/// One parameter with its present value.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamRow {
    /// Its name.
    pub name: String,
    /// What it does.
    pub doc: String,
    /// What it may be.
    pub kind: ParamKind,
    /// Its present value, as `--set` would take it.
    pub value: String,
    /// Its default, likewise.
    pub default: String,
}

/// What a parameter may be.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamKind {
    /// A real number within bounds.
    Number(f64, f64),
    /// A whole number within bounds.
    Integer(i64, i64),
    /// A length in pixel units of 1/255, within bounds.
    Pixels(f64, f64),
    /// Yes or no.
    Switch,
    /// One of these.
    Choice(Vec<String>),
    /// A class of the model; empty: none.
    Class,
    /// A layer of the model, of one of these kinds (any when empty).
    Layer(Vec<String>),
    /// A channel of a layer; empty: none.
    Channel,
    /// Any text.
    Text,
    /// Numbers from a `.npy` file.
    Array,
    /// Picture files.
    Pictures,
}

/// What one step (or one run) shows.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Which question it answers: the number of questions that the worker had got by then.
    pub generation: u64,
    /// Its number; 0 for the start of a stepper and for one-shot methods.
    pub step: usize,
    /// How many steps are kept, this one included.
    pub kept: usize,
    /// Of the older steps every one of so many can be shown; 1: all.
    pub stride: usize,
    /// Why it is over, if it is.
    pub done: Option<String>,
    /// What to show, in order.
    pub figures: Vec<Figure>,
    /// The data set that it may be about, as one of its pictures is opened: this, and a number in brackets.
    pub data: Option<String>,
    /// Numbers of every kept step for curves: name, and one value a step.
    pub scalars: Vec<(String, Vec<f64>)>,
    /// How long it took to compute.
    pub millis: f64,
    /// Whether more is to come of the same computation (`cx.show`).
    pub partial: bool,
    /// What a person should know of it, each told once.
    pub notes: Vec<String>,
    /// What was used in place of parameters' values: name and value, as `--set` would take it.
    pub used: Vec<(String, String)>,
}

/// An error as a person reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What went wrong, in one sentence.
    pub message: String,
    /// The script, its line and column, both from 1.
    pub place: Option<(String, usize, usize)>,
    /// Lines around the place with their numbers.
    pub excerpt: Vec<(usize, String)>,
    /// What would have worked, if known.
    pub advice: Option<String>,
}
