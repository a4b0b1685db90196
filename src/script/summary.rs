//! Summaries of methods, networks and steps as plain values, without tensors.

use super::method::needs::Need;
use crate::model::card::CardRow;
use crate::render::Figure;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// One row in the list of available methods.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodRow {
    /// Name of the method: its file name without `.rhai`.
    pub name: String,
    /// Group of the method, such as `attribution` or `attack`.
    pub group: String,
    /// First line of the script's `//!` comment.
    pub summary: String,
    /// What the method cannot tell: the line `Limits: …` of the script's `//!` comment, without that word; empty if there is none.
    pub limits: String,
    /// The script's file; `None` if it is embedded.
    pub path: Option<PathBuf>,
    /// Line of the error that prevents the script or its newest version from loading, if any.
    pub broken: Option<usize>,
    /// Whether the script is the user's own: not embedded, or a changed copy of an embedded one.
    pub own: bool,
    /// What the method needs besides a network and a picture.
    pub needs: Vec<Need>,
    /// Why the method cannot run on the open network and data set, such as `needs a data set`, if it cannot.
    pub unmet: Option<&'static str>,
}

impl MethodRow {
    /// The method's title: the summary up to its first colon, such as `Grad-CAM`, or else the name.
    pub fn title(&self) -> &str {
        self.split().map_or(&self.name, |(title, _)| title)
    }

    /// What the method tells: the summary after its title.
    pub fn about(&self) -> &str {
        self.split().map_or(&self.summary, |(_, about)| about)
    }

    fn split(&self) -> Option<(&str, &str)> {
        self.summary.split_once(": ").filter(|(title, _)| self.broken.is_none() && title.chars().count() <= 40)
    }
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
    /// Name of the architecture.
    pub name: String,
    /// Name of the network's device, such as `cpu`.
    pub device: String,
    /// Preprocessing and class names, each with the source of the value.
    pub card: Vec<CardRow>,
    /// The sources of card values other than the architecture's script, such as `config.json` or `--mean`.
    pub origins: Vec<String>,
    /// Layers of the network, in execution order.
    pub layers: Vec<LayerRow>,
    /// Class names by index.
    pub labels: Vec<String>,
    /// Number of trainable parameters in the network.
    pub parameters: usize,
}

/// One layer of a network as plain values.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerRow {
    /// Name of the layer, such as `features.3.squeeze`.
    pub name: String,
    /// Kind of operation, such as `conv`.
    pub kind: String,
    /// Shape of the layer's output for one picture, excluding the batch dimension.
    pub shape: Vec<usize>,
    /// Number of trainable parameters in the layer.
    pub parameters: usize,
    /// Whether the layer only reshapes or moves values, or is a constant. Such layers are hidden from lists by default.
    pub shape_arithmetic: bool,
}

/// A module of a network: a prefix of layer names, such as `layer4.1`.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleRow {
    /// Name of the module.
    pub name: String,
    /// Name of the module's output layer.
    pub output: String,
    /// Kind of operation of the output layer.
    pub kind: String,
    /// Shape of the output for one picture, excluding the batch dimension.
    pub shape: Vec<usize>,
    /// Number of trainable parameters in the module.
    pub parameters: usize,
}

/// The modules of a network in execution order, each before its submodules. A module with the same name as a layer is omitted.
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
            // The last layer inside the module is its output.
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
    /// The script's entire `//!` comment.
    pub doc: String,
    /// Whether the method runs in steps.
    pub stepped: bool,
    /// Parameters of the method in declaration order.
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
    /// Current value of the parameter, in `--set` syntax.
    pub value: String,
    /// Default value of the parameter, in `--set` syntax.
    pub default: String,
}

/// The type of a method's parameter and the range of its values.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamKind {
    /// A real number between these bounds, inclusive.
    Number(f64, f64),
    /// An integer between these bounds, inclusive.
    Integer(i64, i64),
    /// A pixel difference between these bounds, inclusive, in units of 1/255.
    Pixels(f64, f64),
    /// A boolean.
    Switch,
    /// One of the listed strings.
    Choice(Vec<String>),
    /// A class of the model, or no class.
    Class,
    /// A layer of the model of one of the listed kinds; any layer if the list is empty.
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
    /// Number of requests that the worker had received when it computed this frame.
    pub generation: u64,
    /// Index of the step; 0 for the initial state of a stepped method and for one-shot methods.
    pub step: usize,
    /// Number of steps in the run's history, including this one.
    pub kept: usize,
    /// Only every `stride`-th of the older steps can still be shown; 1 if all of them can.
    pub stride: usize,
    /// Why the run has ended; `None` if it can continue.
    pub done: Option<String>,
    /// The figures to show, in order.
    pub figures: Vec<Figure>,
    /// Name of the session's data set, if any. With an index in brackets, it identifies a picture: `cifar10:FILE[17]`.
    pub data: Option<String>,
    /// Scalars over the run: the name of each scalar and one value per step.
    pub scalars: Vec<(String, Vec<f64>)>,
    /// Duration of the step in milliseconds.
    pub millis: f64,
    /// Whether this frame is a preview sent by `cx.show` before the computation ended.
    pub partial: bool,
    /// Notes to the user that no earlier frame of the run has reported.
    pub notes: Vec<String>,
    /// Names and effective values of the parameters that the method reported, in `--set` syntax.
    pub used: Vec<(String, String)>,
}

/// An error to show to the user.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// A one-sentence description of the error.
    pub message: String,
    /// The script that failed, and the one-based line and column of the error; `None` if the error has no position.
    pub place: Option<(String, usize, usize)>,
    /// Lines of source code around the error, each with its line number.
    pub excerpt: Vec<(usize, String)>,
    /// A suggestion of what would work instead, if any.
    pub advice: Option<String>,
    /// Lines of Python that export a network's graph, for a file without one.
    pub python: Vec<String>,
}
