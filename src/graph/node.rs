//! A node: one operation of a network.

use super::op::Op;
use super::parameter::Parameter;
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A node's place in [`nodes`](super::Graph::nodes); inputs of a node always have smaller ids than the node.
pub type NodeId = usize;

/// One operation of a network, with its parameters.
#[derive(Clone, Debug)]
pub struct Node {
    /// PyTorch's module name, unique in the graph.
    pub name: String,
    /// What it computes.
    pub op: Arc<dyn Op>,
    /// Whose values it reads, in the operation's order.
    pub inputs: Vec<NodeId>,
    /// Shape of its value for one picture, `N = 1`.
    pub shape: Vec<usize>,
    /// Its parameters in the order of [`Op::params`]; empty until weights are loaded or drawn.
    pub params: Vec<Tensor>,
    /// Full names of parameters that are not called `node.weight`, by the operation's names for them.
    pub renamed: BTreeMap<String, String>,
}

impl Node {
    /// Names and shapes of the parameters it needs.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter> + '_ {
        let full = |name: &str| match self.renamed.get(name) {
            Some(full) => full.clone(),
            None if name.is_empty() => self.name.clone(),
            None => format!("{}.{name}", self.name),
        };
        self.op.params().into_iter().map(move |p| Parameter { name: full(&p.name), ..p })
    }

    /// How many numbers it trains, as PyTorch counts parameters: running statistics are left out.
    pub fn parameter_count(&self) -> usize {
        self.op.params().iter().filter(|p| p.trained).map(|p| p.shape.iter().product::<usize>()).sum()
    }
}

impl Node {
    /// Whether it has the parameters it needs.
    pub fn is_loaded(&self) -> bool {
        self.params.len() == self.op.params().len()
    }

    /// The same count as it comes about: `16x3x3x3+16 = 448`; a dash where nothing is trained.
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
    /// Its operation on `x`, with its own parameters.
    pub fn forward(&self, x: &[&Tensor]) -> Result<Tensor> {
        ensure!(self.is_loaded(), "layer \"{}\" has no weights yet; load some with -w", self.name);
        self.op.forward(x, &self.params).with_context(|| format!("in layer \"{}\" ({})", self.name, self.op.kind()))
    }
}
