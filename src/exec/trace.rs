//! The values of a run.

use super::fused::FusedRun;
use crate::graph::{Graph, NodeId};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// The values of all nodes for one batch of pictures.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The network that ran.
    pub graph: Arc<Graph>,
    values: Values,
}

/// How a trace holds its values.
#[derive(Clone, Debug)]
enum Values {
    /// One a node, as each operation gave it.
    Each(Arc<Vec<Tensor>>),
    /// As a fused run left them: a node's value is made when somebody looks.
    Fused(Arc<FusedRun>),
}

impl Trace {
    /// A run of which every value is known.
    pub(super) fn new(graph: Arc<Graph>, values: Vec<Tensor>) -> Self {
        Self { graph, values: Values::Each(Arc::new(values)) }
    }

    /// A fused run.
    pub(super) fn fused_run(graph: Arc<Graph>, run: FusedRun) -> Self {
        Self { graph, values: Values::Fused(Arc::new(run)) }
    }

    /// The value of a node, `(N, …)`.
    ///
    /// Where steps were fused it is computed when first asked for.
    pub fn value(&self, id: NodeId) -> Result<&Tensor> {
        match &self.values {
            Values::Each(values) => Ok(&values[id]),
            Values::Fused(run) => run.value(&self.graph, id),
        }
    }

    /// The sizes of a node's value, `N` first.
    pub fn dims(&self, id: NodeId) -> Result<Vec<usize>> {
        Ok(match &self.values {
            Values::Each(values) => values[id].dims().to_vec(),
            Values::Fused(run) => run.dims(id),
        })
    }

    /// The value of the node of this name.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.value(self.graph.find(name)?)
    }

    /// The batch that ran.
    pub fn input(&self) -> &Tensor {
        match &self.values {
            Values::Each(values) => &values[0],
            Values::Fused(run) => &run.input,
        }
    }

    /// One score a class, `(N, classes)`; `[0, z]` where the network gives a single logit.
    ///
    /// Errors where it gives a value at each of several places.
    pub fn logits(&self) -> Result<Tensor> {
        self.graph.check_classes()?;
        self.graph.scores.logits(self.value(self.graph.logits)?)
    }

    /// A gradient by the logits, `(N, classes)`, as a seed at their node.
    pub fn seed(&self, gradient: &Tensor) -> Result<(NodeId, Tensor)> {
        self.graph.seed(gradient, &self.dims(self.graph.logits)?)
    }

    /// The fused run, if it is one.
    pub fn fused(&self) -> Option<&FusedRun> {
        match &self.values {
            Values::Each(_) => None,
            Values::Fused(run) => Some(run),
        }
    }

    /// Whether all its convolutions were summed directly.
    pub fn is_exact(&self) -> bool {
        self.fused().is_none_or(FusedRun::is_exact)
    }

    /// Bytes that its values hold.
    pub fn bytes(&self) -> usize {
        match &self.values {
            Values::Each(values) => values.iter().map(|t| t.elem_count() * t.dtype().size_in_bytes()).sum(),
            Values::Fused(run) => run.bytes(),
        }
    }
}
