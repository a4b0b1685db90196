//! Summaries of methods, networks and steps as plain values without tensors.

use crate::render::Figure;
use std::path::PathBuf;

/// One row in the list of available methods.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodRow {
    /// Name of the method: its file name without `.rhai`.
    pub name: String,
    /// Group of the method: `attribution`, `attack`, …
    pub group: String,
    /// First line of the script's `//!` comment.
    pub summary: String,
    /// Its file, unless it is embedded.
    pub path: Option<PathBuf>,
    /// Line of the error that prevents it, or its newest version, from loading.
    pub broken: Option<usize>,
}

/// One row in the list of available architectures.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRow {
    /// Its name.
    pub name: String,
    /// First line of the script's `//!` comment.
    pub summary: String,
    /// Whether it comes with weights.
    pub weights: bool,
}

/// An open model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// Its name.
    pub name: String,
    /// The device it runs on: `cpu`.
    pub device: String,
    /// Its layers in order.
    pub layers: Vec<LayerRow>,
    /// Names of its classes, by index.
    pub labels: Vec<String>,
    /// Total number of parameters.
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
    /// Number of parameters.
    pub parameters: usize,
}

/// The open method.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodCard {
    /// Its name.
    pub name: String,
    /// Its whole `//!` comment.
    pub doc: String,
    /// Whether it has steps.
    pub stepped: bool,
    /// Its parameters in the order declared.
    pub params: Vec<ParamRow>,
}

/// One parameter with its current value.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamRow {
    /// Its name.
    pub name: String,
    /// Its description.
    pub doc: String,
    /// Its type and range.
    pub kind: ParamKind,
    /// Its current value, as written for `--set`.
    pub value: String,
    /// Its default, likewise.
    pub default: String,
}

/// The type and range of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamKind {
    /// A real number within bounds.
    Number(f64, f64),
    /// A whole number within bounds.
    Integer(i64, i64),
    /// A pixel length in units of 1/255, within bounds.
    Pixels(f64, f64),
    /// A boolean.
    Switch,
    /// One of these choices.
    Choice(Vec<String>),
    /// A class of the model, or none.
    Class,
    /// A layer of the model, of one of these kinds (any if empty).
    Layer(Vec<String>),
    /// A channel of a layer, or none.
    Channel,
    /// Any string.
    Text,
    /// An array from a `.npy` file.
    Array,
    /// Picture files.
    Pictures,
}

/// The result of one step, or of a one-shot run.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The request it belongs to: the number of requests that the worker had received by then.
    pub generation: u64,
    /// The index of the step; 0 for the start of a stepped method and for one-shot methods.
    pub step: usize,
    /// The number of steps kept, including this one.
    pub kept: usize,
    /// One in this many of the older steps can be shown; 1 if all can.
    pub stride: usize,
    /// Why the run has ended, if it has.
    pub done: Option<String>,
    /// The figures to show, in order.
    pub figures: Vec<Figure>,
    /// The name of the data set, if any. With a number in brackets after it, it opens one of the pictures.
    pub data: Option<String>,
    /// Curves of scalars: a name, and one value per step.
    pub scalars: Vec<(String, Vec<f64>)>,
    /// Time to compute it, in milliseconds.
    pub millis: f64,
    /// Whether it is a preview from `cx.show`, before the computation has ended.
    pub partial: bool,
    /// New notes for the user.
    pub notes: Vec<String>,
    /// Values used instead of the parameters' own: name and value, as written for `--set`.
    pub used: Vec<(String, String)>,
}

/// An error to be shown to the user.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// One sentence that says what went wrong.
    pub message: String,
    /// The script, with line and column counted from 1.
    pub place: Option<(String, usize, usize)>,
    /// Numbered lines around the error.
    pub excerpt: Vec<(usize, String)>,
    /// A suggestion of what would work, if known.
    pub advice: Option<String>,
}
