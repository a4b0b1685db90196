//! A node: one operation of a network.

use super::effective::{EffectiveParameters, ids};
use super::op::Op;
use super::parameter::Parameter;
use crate::tensor::compute_dtype;
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A node's index in [`nodes`](super::Graph::nodes). The inputs of a node always have smaller ids than the node itself.
pub type NodeId = usize;

/// One operation of a network, with its parameters.
#[derive(Clone, Debug)]
pub struct Node {
    /// The node's name, the same as that of the PyTorch module; unique in the graph.
    pub name: String,
    /// The operation that computes the node's value.
    pub op: Arc<dyn Op>,
    /// The nodes that this node reads, in the order of the operation's inputs.
    pub inputs: Vec<NodeId>,
    /// Shape of the node's value for a single picture, `(1, …)`.
    pub shape: Vec<usize>,
    /// The values of the operation's parameters as they are stored, in the order of [`Op::params`]; empty until weights are loaded
    /// or initialized. Computations read them through [`weights`](Self::weights) or [`stored`](Self::stored).
    pub params: Vec<Tensor>,
    /// Full names of the parameters that do not follow the pattern `node.weight`, by name within the operation.
    pub renamed: BTreeMap<String, String>,
    /// A cache of the effective values of the parameters, used if they differ from `params`.
    pub(super) effective: EffectiveParameters,
}

impl Node {
    /// A node without parameter values, whose value for a single picture has the shape `shape`, `(1, …)`.
    pub(super) fn new(name: String, op: Arc<dyn Op>, inputs: Vec<NodeId>, shape: Vec<usize>) -> Self {
        let (renamed, effective) = (BTreeMap::new(), EffectiveParameters::default());
        Self { name, op, inputs, shape, params: vec![], renamed, effective }
    }

    /// The full names and shapes of the parameters that the operation needs.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter> + '_ {
        let full = |name: &str| match self.renamed.get(name) {
            Some(full) => full.clone(),
            None if name.is_empty() => self.name.clone(),
            None => format!("{}.{name}", self.name),
        };
        self.op.params().into_iter().map(move |p| Parameter { name: full(&p.name), ..p })
    }

    /// The names of the modules that contain the node, outermost first: `layer4` and `layer4.1` for `layer4.1.conv1`.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.name.match_indices('.').map(|(at, _)| &self.name[..at])
    }

    /// Number of trained parameters, counted as in PyTorch: running statistics are excluded.
    pub fn parameter_count(&self) -> usize {
        self.op.params().iter().filter(|p| p.trained).map(|p| p.shape.iter().product::<usize>()).sum()
    }
}

impl Node {
    /// The stored values of the parameters in the compute dtype: bf16 and f16 are converted to f32.
    pub fn stored(&self) -> Result<Vec<Tensor>> {
        self.params.iter().map(|p| Ok(p.to_dtype(compute_dtype(p.dtype()))?)).collect()
    }

    /// The effective values of the parameters, which may differ from the [stored](Self::stored) ones: see [`Op::effective`].
    pub fn weights(&self) -> Result<Vec<Tensor>> {
        if let Some(cached) = self.effective.of(&self.params) {
            return Ok(cached);
        }
        let stored = self.stored()?;
        if stored.is_empty() {
            return Ok(stored);
        }
        let effective = self.op.effective(&stored)?;
        if ids(&effective) != ids(&stored) {
            self.effective.keep(&self.params, &effective);
        }
        Ok(effective)
    }

    /// Whether the values of all parameters are present.
    pub fn is_loaded(&self) -> bool {
        self.params.len() == self.op.params().len()
    }

    /// The calculation behind [`parameter_count`](Self::parameter_count), such as `16x3x3x3+16 = 448`; a dash if no parameter is trained.
    pub fn parameter_formula(&self) -> String {
        let trained = self.op.params().into_iter().filter(|p| p.trained);
        let parts: Vec<_> = trained.map(|p| crate::tensor::shape_text(&p.shape)).collect();
        match parts.is_empty() {
            true => "-".into(),
            false => format!("{} = {}", parts.join("+"), self.parameter_count()),
        }
    }
}

impl Node {
    /// Applies the node's operation to the inputs `x`, with the node's own parameters.
    ///
    /// Errors if no weights are loaded.
    pub fn forward(&self, x: &[&Tensor]) -> Result<Tensor> {
        ensure!(self.is_loaded(), "layer \"{}\" has no weights; load some with -w", self.name);
        self.op.forward(x, &self.weights()?).with_context(|| format!("in layer \"{}\" ({})", self.name, self.op.kind()))
    }
}
