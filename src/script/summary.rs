//! Summaries of methods, networks and steps as plain values without tensors.

use crate::model::card::CardRow;
use crate::render::Figure;
use std::collections::{HashMap, HashSet};
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
    /// File of the script; `None` if it is embedded.
    pub path: Option<PathBuf>,
    /// Line of the error that prevents the script, or its newest version, from loading; `None` if it loads.
    pub broken: Option<usize>,
}

/// One row in the list of available architectures.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRow {
    /// Name of the architecture.
    pub name: String,
    /// First line of the script's `//!` comment.
    pub summary: String,
    /// Whether the architecture comes with trained weights.
    pub weights: bool,
}

/// The open network as plain values.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// Name of the network's architecture.
    pub name: String,
    /// Name of the device that the network runs on, such as `cpu`.
    pub device: String,
    /// Preprocessing and class names, with the source of each value.
    pub card: Vec<CardRow>,
    /// The sources other than the architecture, such as `config.json` or `--mean`.
    pub origins: Vec<String>,
    /// Layers of the network in order of execution.
    pub layers: Vec<LayerRow>,
    /// Names of the classes, by class index.
    pub labels: Vec<String>,
    /// Total number of trained values in the network.
    pub parameters: usize,
}

/// One layer of a network as plain values.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerRow {
    /// Name of the layer, such as `features.3.squeeze`.
    pub name: String,
    /// Kind of operation, such as `conv`.
    pub kind: String,
    /// Shape of the layer's output for one picture, without the batch dimension.
    pub shape: Vec<usize>,
    /// Number of trained values in the layer.
    pub parameters: usize,
    /// Whether the layer only reshapes or moves values, or is a constant, so that lists leave it out at first.
    pub shape_arithmetic: bool,
}

/// One module of a network: a prefix of its layers' names, such as `layer4.1`.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleRow {
    /// Name of the module.
    pub name: String,
    /// Name of the layer that is the module's output.
    pub output: String,
    /// Kind of operation of the output.
    pub kind: String,
    /// Shape of the output for one picture, without the batch dimension.
    pub shape: Vec<usize>,
    /// Number of trained values in the module.
    pub parameters: usize,
}

/// The modules of a network in order of execution, each before the modules inside it. A layer of the same name hides a module.
pub fn modules(layers: &[LayerRow]) -> Vec<ModuleRow> {
    let own: HashSet<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut rows: Vec<ModuleRow> = vec![];
    for layer in layers {
        for name in parents(&layer.name).filter(|name| !own.contains(name)) {
            let at = *places.entry(name).or_insert(rows.len());
            if at == rows.len() {
                rows.push(ModuleRow {
                    name: name.into(),
                    output: String::new(),
                    kind: String::new(),
                    shape: vec![],
                    parameters: 0,
                });
            }
            // The last layer inside is the output.
            let row = &mut rows[at];
            (row.output, row.kind, row.shape) = (layer.name.clone(), layer.kind.clone(), layer.shape.clone());
            row.parameters += layer.parameters;
        }
    }
    rows
}

/// Names of the modules that contain a layer, outermost first: `a` and `a.b` for `a.b.c`.
pub fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(at, _)| &name[..at])
}

/// The open method as plain values.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodCard {
    /// Name of the method.
    pub name: String,
    /// The script's whole `//!` comment.
    pub doc: String,
    /// Whether the method runs in steps.
    pub stepped: bool,
    /// Parameters of the method in the order they are declared.
    pub params: Vec<ParamRow>,
}

/// One parameter of a method with its current value.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamRow {
    /// Name of the parameter.
    pub name: String,
    /// Description of the parameter.
    pub doc: String,
    /// Type and range of the parameter.
    pub kind: ParamKind,
    /// Current value of the parameter, in the syntax of `--set`.
    pub value: String,
    /// Default value of the parameter, in the syntax of `--set`.
    pub default: String,
}

/// The type of a method's parameter and the range of its values.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamKind {
    /// A real number between these two bounds, inclusive.
    Number(f64, f64),
    /// An integer between these two bounds, inclusive.
    Integer(i64, i64),
    /// A difference in pixel value, in units of 1/255, between these two bounds, inclusive.
    Pixels(f64, f64),
    /// A boolean.
    Switch,
    /// One of the listed strings.
    Choice(Vec<String>),
    /// A class of the model, or no class.
    Class,
    /// A layer of the model whose kind is one of those listed; any layer if the list is empty.
    Layer(Vec<String>),
    /// A channel of a layer, or no channel.
    Channel,
    /// Any string.
    Text,
    /// An array from a `.npy` file.
    Array,
    /// A list of picture files.
    Pictures,
}

/// The result of one step, or of a one-shot run.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Number of the request that this frame answers: how many requests the worker had received by then.
    pub generation: u64,
    /// Index of the step; 0 for the initial state of a stepped method and for one-shot methods.
    pub step: usize,
    /// Number of steps in the run's history, including this one.
    pub kept: usize,
    /// Only one in `stride` of the older steps can still be shown; 1 if all of them can.
    pub stride: usize,
    /// Why the run has ended; `None` if it can continue.
    pub done: Option<String>,
    /// The figures to show, in order.
    pub figures: Vec<Figure>,
    /// Name of the session's data set, if any. Followed by an index in brackets, it names one picture: `cifar10:FILE[17]`.
    pub data: Option<String>,
    /// Curves of scalars over the run: the name of each scalar, and one value per step.
    pub scalars: Vec<(String, Vec<f64>)>,
    /// Time taken to compute the step, in milliseconds.
    pub millis: f64,
    /// Whether this frame is a preview that `cx.show` sent before the computation ended.
    pub partial: bool,
    /// Notes for the user that no earlier frame of the run has reported.
    pub notes: Vec<String>,
    /// Names and values of the parameters for which the method used another value than the user set, in the syntax of `--set`.
    pub used: Vec<(String, String)>,
}

/// An error to be shown to the user.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// One sentence that says what went wrong.
    pub message: String,
    /// The script that failed, and the line and column of the error, counted from 1; `None` if the error has no position.
    pub place: Option<(String, usize, usize)>,
    /// Lines of source code around the error, each with its line number.
    pub excerpt: Vec<(usize, String)>,
    /// A suggestion of what would work instead, if there is one.
    pub advice: Option<String>,
    /// Lines of Python that write the graph of a network, for a file that has none.
    pub python: Vec<String>,
}
