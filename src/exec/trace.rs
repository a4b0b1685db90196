//! Traces: the values of all nodes in a forward pass.

use super::fused::FusedRun;
use crate::graph::{Graph, NodeId};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// The values of all nodes for one batch of pictures.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The network that was run.
    pub graph: Arc<Graph>,
    values: Values,
}

/// How a trace stores its values.
#[derive(Clone, Debug)]
enum Values {
    /// One tensor per node.
    Each(Arc<Vec<Tensor>>),
    /// The result of a fused run; a node's value is converted on first use.
    Fused(Arc<FusedRun>),
}

impl Trace {
    /// A trace with the given values, one per node.
    pub(super) fn new(graph: Arc<Graph>, values: Vec<Tensor>) -> Self {
        Self { graph, values: Values::Each(Arc::new(values)) }
    }

    /// A trace of a fused run.
    pub(super) fn fused_run(graph: Arc<Graph>, run: FusedRun) -> Self {
        Self { graph, values: Values::Fused(Arc::new(run)) }
    }

    /// The value of node `id`, `(N, …)`.
    ///
    /// The value of a node inside a fused step is computed on first use.
    pub fn value(&self, id: NodeId) -> Result<&Tensor> {
        match &self.values {
            Values::Each(values) => Ok(&values[id]),
            Values::Fused(run) => run.value(&self.graph, id),
        }
    }

    /// The shape of the value of node `id`, with the batch size first.
    pub fn dims(&self, id: NodeId) -> Result<Vec<usize>> {
        Ok(match &self.values {
            Values::Each(values) => values[id].dims().to_vec(),
            Values::Fused(run) => run.dims(id),
        })
    }

    /// The value of the node with this name.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.value(self.graph.find(name)?)
    }

    /// The batch of pictures that was run.
    pub fn input(&self) -> &Tensor {
        match &self.values {
            Values::Each(values) => &values[0],
            Values::Fused(run) => &run.input,
        }
    }

    /// The logits, `(N, classes)`. A single logit `z` becomes the pair `[0, z]`.
    ///
    /// Errors if the network outputs a map instead of class scores.
    pub fn logits(&self) -> Result<Tensor> {
        self.graph.check_classes()?;
        self.graph.scores.logits(self.value(self.graph.logits)?)
    }

    /// Converts a gradient with respect to the logits, `(N, classes)`, to a seed at the logits node.
    pub fn seed(&self, gradient: &Tensor) -> Result<(NodeId, Tensor)> {
        self.graph.seed(gradient, &self.dims(self.graph.logits)?)
    }

    /// The underlying fused run; `None` if the network ran node by node.
    pub fn fused(&self) -> Option<&FusedRun> {
        match &self.values {
            Values::Each(_) => None,
            Values::Fused(run) => Some(run),
        }
    }

    /// Like [`fused`](Self::fused), as a shared run.
    pub(super) fn shared_run(&self) -> Option<&Arc<FusedRun>> {
        match &self.values {
            Values::Each(_) => None,
            Values::Fused(run) => Some(run),
        }
    }

    /// A trace with the same values whose network is [`Graph::exact`], for rule-based backward passes, which magnify rounding
    /// errors.
    pub fn exact(&self) -> Self {
        Self { graph: self.graph.exact(), values: self.values.clone() }
    }

    /// Memory used by the trace's values, in bytes.
    pub fn bytes(&self) -> usize {
        match &self.values {
            Values::Each(values) => values.iter().map(|t| t.elem_count() * t.dtype().size_in_bytes()).sum(),
            Values::Fused(run) => run.bytes(),
        }
    }
}
