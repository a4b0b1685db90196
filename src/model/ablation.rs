//! Ablations: channels, attention heads or tokens of a layer that are set to zero.

use super::Model;
use crate::graph::{AblatedIndices, Attention, Graph, NodeId};
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use std::fmt;

/// The form of an ablation, for help and error messages.
const USAGE: &str = "LAYER:channel=N, LAYER:head=N or LAYER:token=N, with one index or several such as 0,3";

/// A unit of a layer that is set to zero, written `features.12:channel=7`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ablation {
    /// Name of a layer or module.
    pub layer: String,
    /// What is ablated.
    pub unit: Unit,
    /// The zero-based index of the unit.
    pub index: usize,
}

/// A kind of unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// A channel of a feature map, or a feature of all tokens.
    Channel,
    /// An attention head: its output, before the heads are combined.
    Head,
    /// A token: all its features.
    Token,
}

impl Unit {
    const ALL: [Self; 3] = [Self::Channel, Self::Head, Self::Token];

    fn name(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Head => "head",
            Self::Token => "token",
        }
    }
}

impl Ablation {
    /// Parses `LAYER:UNIT=N` or `LAYER:UNIT=N,N,…`.
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        let parsed = || -> Option<Vec<Self>> {
            let (layer, rest) = text.trim().rsplit_once(':')?;
            let (unit, indices) = rest.split_once('=')?;
            let unit = Unit::ALL.into_iter().find(|u| u.name() == unit.trim())?;
            let one = |index: &str| Some(Self { layer: layer.into(), unit, index: index.trim().parse().ok()? });
            indices.split(',').map(one).collect::<Option<Vec<_>>>().filter(|_| !layer.is_empty())
        };
        parsed().with_context(|| format!("cannot read the ablation \"{}\"; expected {USAGE}", words::name(text)))
    }

    /// The node, dimension and index that this ablation sets to zero in `graph`.
    fn at(&self, graph: &Graph) -> Result<(NodeId, usize, usize)> {
        let id = match self.unit {
            Unit::Head => self.attention(graph)?.product,
            _ => graph.find(&self.layer)?,
        };
        let shape = &graph.nodes[id].shape;
        let (dim, what) = match self.unit {
            Unit::Channel => (graph.channel_dim(id), "channels"),
            Unit::Token if shape.len() == 3 => (1, "tokens"),
            Unit::Token => bail!(
                "layer \"{}\" has no tokens: its value has shape {shape:?}; ablate its channels instead",
                self.layer
            ),
            // The product has shape (N, …, heads, tokens, features).
            Unit::Head => (shape.len().saturating_sub(3), "heads"),
        };
        let size = if dim == 0 { 1 } else { shape[dim] };
        ensure!(dim > 0, "attention layer \"{}\" has a single head; ablate its channels instead", self.layer);
        ensure!(
            self.index < size,
            "layer \"{}\" has {size} {what}; there is no {} {}",
            self.layer,
            self.unit.name(),
            self.index
        );
        Ok((id, dim, self.index))
    }

    /// The attention layer that `layer` names: by one of its nodes, or by a module that contains only this one.
    fn attention(&self, graph: &Graph) -> Result<Attention> {
        let all = graph.attention();
        let name = |id: NodeId| graph.nodes[id].name.as_str();
        let is = |a: &&Attention| [a.weights, a.scores, a.product].iter().any(|&id| name(id) == self.layer);
        if let Some(found) = all.iter().find(is) {
            return Ok(*found);
        }
        let inside = |a: &&Attention| {
            name(a.weights).strip_prefix(self.layer.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        let found: Vec<_> = all.iter().filter(inside).collect();
        match found[..] {
            [one] => Ok(*one),
            _ if all.is_empty() => {
                bail!("the network has no attention layers, so there is no head to ablate; ablate channels instead")
            }
            [] => {
                let names: Vec<_> = all.iter().take(3).map(|a| name(a.weights)).collect();
                bail!("no attention layer \"{}\"; the first ones are {}", words::name(&self.layer), names.join(", "))
            }
            _ => bail!(
                "\"{}\" contains {} attention layers; name one, such as {}",
                self.layer,
                found.len(),
                name(found[0].weights)
            ),
        }
    }
}

impl fmt::Display for Ablation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}={}", self.layer, self.unit.name(), self.index)
    }
}

impl Model {
    /// The same model with some units set to zero (zero ablation); the model itself if `all` is empty.
    ///
    /// Errors if a layer or unit does not exist.
    pub fn ablated(&self, all: &[Ablation]) -> Result<Self> {
        if all.is_empty() {
            return Ok(self.clone());
        }
        let mut indices = AblatedIndices::new();
        for ablation in all {
            let (id, dim, index) = ablation.at(&self.graph)?;
            indices.entry((id, dim)).or_default().insert(index);
        }
        let hash = all.iter().fold(self.hash.to_string(), |hash, ablation| format!("{hash} without {ablation}"));
        Ok(Self { graph: self.graph.ablated(&indices)?.into(), hash: hash.into(), ..self.clone() })
    }
}
