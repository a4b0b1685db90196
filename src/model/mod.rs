//! A model: a graph with weights, what its pictures look like, and the names of its classes.

pub mod weights;
pub mod fit;
mod classes;
mod evaluate;
mod features;
mod feature_cache;

pub use classes::{ClassMap, MatchedBy};
pub use evaluate::{Accuracy, Matches, answers, correct, evaluate, matches};
pub use features::{FeaturePooling, Features};

use crate::data::Preprocess;
use crate::graph::Graph;
use anyhow::Result;
use candle_core::{DType, Tensor};
use std::sync::Arc;

/// What is known of a network beside its graph: the card that an architecture script carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// The architecture's name: `resnet20`.
    pub name: String,
    /// First line of its script's doc.
    pub summary: String,
    /// `(C, H, W)` of the pictures it reads.
    pub input: [usize; 3],
    /// Short side that a picture is scaled to before its centre is cut out; none: the picture is scaled to `input`.
    pub resize: Option<usize>,
    /// Mean of the normalisation, one a channel, in `[0, 1]`; what `baseline: "mean"` means.
    pub mean: Vec<f64>,
    /// Standard deviation of the normalisation, one a channel.
    pub std: Vec<f64>,
    /// Names of the classes; empty when they have none.
    pub labels: Arc<[String]>,
    /// Other names of each class, by index, its WordNet id first; empty when none are known.
    pub synonyms: Arc<[Vec<String>]>,
    /// The picture that is shown when nobody names one: `made:digits[0]`.
    pub picture: String,
}

/// A network ready to run.
#[derive(Clone, Debug)]
pub struct Model {
    /// What is known of it.
    pub card: Arc<Card>,
    /// Its graph, with weights.
    pub graph: Arc<Graph>,
    /// SHA-256 of the weight file, in hexadecimal.
    pub hash: Arc<str>,
    /// How the weights were found in their file, if not simply by name: a prefix, one of several state dicts; else empty.
    pub taken: Arc<str>,
}

impl Model {
    /// The type it computes in: that of its weights, if it has any.
    pub fn dtype(&self) -> Option<DType> {
        self.graph.nodes.iter().find_map(|n| n.params.first()).map(Tensor::dtype)
    }

    /// A batch in the type that it computes in, on its device.
    pub fn take(&self, x: &Tensor) -> Result<Tensor> {
        Ok(match self.graph.nodes.iter().find_map(|n| n.params.first()) {
            Some(weight) => x.to_dtype(weight.dtype())?.to_device(weight.device())?,
            None => x.clone(),
        })
    }

    /// How the weights were found in their file, as a line; none where it was simply by name.
    pub fn note(&self) -> Option<String> {
        (!self.taken.is_empty()).then(|| format!("weights of {}: {}", self.card.name, self.taken))
    }

    /// How many classes it tells apart; 0 where it gives a value at each of several places.
    pub fn classes(&self) -> usize {
        self.graph.classes()
    }
}

impl Card {
    /// How its pictures are prepared.
    pub fn preprocess(&self) -> Preprocess {
        Preprocess { input: self.input, resize: self.resize }
    }

    /// The name of a class, or its number.
    pub fn label(&self, class: usize) -> String {
        self.labels.get(class).cloned().unwrap_or_else(|| class.to_string())
    }
}
