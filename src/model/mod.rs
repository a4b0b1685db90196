//! A model: a graph with weights, and a card that describes its input, preprocessing and class names.

pub mod python;
pub mod weights;
pub mod card;
pub mod fit;
pub mod import;
pub mod onnx;
pub mod pt2;
pub mod tensor_shapes;
pub mod free_sizes;
pub mod target;
mod ablation;
mod classes;
mod evaluate;
mod features;
mod feature_cache;

pub use ablation::{Ablation, Unit};
pub use classes::{ClassMap, MatchedBy};
pub use evaluate::{Accuracy, Matches, answers, correct, evaluate, matches};
pub use features::{FeaturePooling, Features};

use crate::data::{Interpolation, Preprocess};
use crate::graph::{Graph, Scores};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use card::{ChannelOrder, Sources};
use std::path::Path;
use std::sync::Arc;

/// Metadata of a network: provided by its architecture script, unless overridden by flags, card files or the model file.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// Name of the architecture, such as `resnet20`.
    pub name: String,
    /// First line of the architecture script's documentation.
    pub summary: String,
    /// Input shape `(C, H, W)`.
    pub input: [usize; 3],
    /// Length of the shorter side before the center crop; `None` resizes the entire picture to `input`.
    pub resize: Option<usize>,
    /// How pictures are resized.
    pub interpolation: Interpolation,
    /// Mean for normalization, per channel, in `[0, 1]`; also the value of `baseline: "mean"`.
    pub mean: Vec<f64>,
    /// Standard deviation for normalization, per channel.
    pub std: Vec<f64>,
    /// Class names by index; empty if the classes have no names.
    pub labels: Arc<[String]>,
    /// Synonyms of each class by index, each list starting with the WordNet ID; empty if unknown.
    pub synonyms: Arc<[Vec<String>]>,
    /// The default picture, such as `made:digits[0]`.
    pub picture: String,
    /// The channel order that the network expects.
    pub channel_order: ChannelOrder,
    /// Name of the output, for a network in an exported file.
    pub output: Option<String>,
    /// The source of each value.
    pub sources: Sources,
}

/// A network with weights, ready to run.
#[derive(Clone, Debug)]
pub struct Model {
    /// The metadata of the network.
    pub card: Arc<Card>,
    /// The graph of the network, with weights.
    pub graph: Arc<Graph>,
    /// SHA-256 of the weight file, in hexadecimal.
    pub hash: Arc<str>,
    /// How the weights were found in their file, such as under a prefix or in one of several state dicts; empty if the names matched
    /// directly.
    pub taken: Arc<str>,
}

impl Model {
    /// Converts a batch to the network's dtype and device; unchanged if the network has no weights.
    pub fn take(&self, x: &Tensor) -> Result<Tensor> {
        if self.graph.nodes.iter().all(|n| n.params.is_empty()) {
            return Ok(x.clone());
        }
        Ok(x.to_dtype(self.graph.dtype())?.to_device(&self.graph.device())?)
    }

    /// The model, with direct convolution in all layers.
    pub fn exact(&self) -> Self {
        Self { graph: self.graph.exact(), ..self.clone() }
    }

    /// A note for the user: how the weights were found in their file, unless by name; which of several outputs was used; and which card
    /// values come from card files or defaults. `None` if there is nothing to report.
    pub fn note(&self) -> Option<String> {
        let of = if self.card.output.is_some() { "" } else { "weights of " };
        let weights = (!self.taken.is_empty()).then(|| format!("{of}{}: {}", self.card.name, self.taken));
        let notes: Vec<_> = weights.into_iter().chain(self.card.note()).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    /// Number of classes; 0 if the network is not a classifier but outputs a value at each of several positions.
    pub fn classes(&self) -> usize {
        self.graph.classes()
    }
}

impl Card {
    /// A card for pictures of shape `input`, `(C, H, W)`, without resizing, normalization, class names or default picture.
    pub fn plain(name: &str, input: [usize; 3]) -> Self {
        Self {
            name: name.into(),
            summary: String::new(),
            input,
            resize: None,
            interpolation: Interpolation::default(),
            mean: vec![0.0; input[0]],
            std: vec![1.0; input[0]],
            labels: [].into(),
            synonyms: [].into(),
            picture: String::new(),
            channel_order: ChannelOrder::default(),
            output: None,
            sources: Sources::default(),
        }
    }

    /// The preprocessing of the network's input pictures.
    pub fn preprocess(&self) -> Preprocess {
        Preprocess { input: self.input, resize: self.resize, interpolation: self.interpolation }
    }

    /// The name by which the network can be reopened: its name on the hub, or the name of its architecture if it is not from a hub or its
    /// weights are specified separately.
    pub fn opened_by(&self, weights: Option<&Path>) -> &str {
        if self.sources.hub.is_empty() || weights.is_some() { &self.name } else { &self.sources.hub }
    }

    /// The card with a name for each class of `graph`; a network with a single logit may name only its positive class.
    ///
    /// Errors if the number of class names is wrong.
    pub fn fitted_to(mut self, graph: &Graph) -> Result<Self> {
        let (names, classes) = (self.labels.len(), class_names_for(graph, self.labels.len()));
        ensure!(
            names == 0 || names == classes,
            "the network \"{}\" has {classes} scores but {names} class names (from {})",
            self.name,
            self.sources.labels.text("labels")
        );
        if graph.scores == Scores::Pair && names == 1 {
            self.labels = [format!("not {}", self.labels[0]), self.labels[0].clone()].into();
        }
        Ok(self)
    }

    /// The name of class `class`, or its index if the class has no name.
    pub fn label(&self, class: usize) -> String {
        self.labels.get(class).cloned().unwrap_or_else(|| class.to_string())
    }
}

/// The number of class names that the output of `graph` takes, if there are `given` names.
pub(crate) fn class_names_for(graph: &Graph, given: usize) -> usize {
    match graph.scores {
        // Class names refer to channels. In a list of boxes, the channels may be any dimension.
        Scores::Places => {
            let shape = &graph.nodes[graph.logits].shape;
            if shape[2..].contains(&given) { given } else { shape[1] }
        }
        Scores::Pair if given == 1 => 1,
        _ => graph.classes(),
    }
}
