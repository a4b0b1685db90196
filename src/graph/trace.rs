//! A run of a graph on a batch, with every node's value kept.

use super::account::Account;
use super::node::{Graph, Node, NodeId};
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use std::sync::{Arc, Mutex, PoisonError};

/// The values of all nodes for one batch of pictures.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The network that ran.
    pub graph: Arc<Graph>,
    /// One value a node, `(N, …)`.
    pub values: Vec<Tensor>,
}

/// One node in a run: what a rule sees.
#[derive(Clone, Debug)]
pub struct Site {
    /// The network it belongs to.
    pub graph: Arc<Graph>,
    /// Which node.
    pub id: NodeId,
    /// The values it read.
    pub x: Vec<Tensor>,
    /// The value it gave.
    pub y: Tensor,
    /// Where rules write what they keep back; clones share it.
    account: Arc<Mutex<Account>>,
}

impl Graph {
    /// Runs the network on `x`, `(N, C, H, W)` in `[0, 1]`.
    pub fn forward(self: &Arc<Self>, x: &Tensor) -> Result<Trace> {
        self.forward_with(x, &mut |_, y| Ok(y))
    }
}

impl Node {
    /// Its operation on `x`, with its own parameters.
    pub fn forward(&self, x: &[&Tensor]) -> Result<Tensor> {
        ensure!(
            self.params.len() == self.op.params().len(),
            "layer \"{}\" has no weights yet; load some with -w",
            self.name
        );
        self.op.forward(x, &self.params).with_context(|| format!("in layer \"{}\" ({})", self.name, self.op.kind()))
    }
}

impl Trace {
    /// The value of the node of this name.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        Ok(&self.values[self.graph.find(name)?])
    }

    /// The batch that ran.
    pub fn input(&self) -> &Tensor {
        &self.values[0]
    }

    /// One score a class, `(N, classes)`.
    pub fn logits(&self) -> Result<Tensor> {
        Ok(self.values[self.graph.logits].flatten_from(1)?)
    }

    /// A node with what it read and gave.
    pub fn site(&self, id: NodeId) -> Site {
        let x = self.graph.nodes[id].inputs.iter().map(|&i| self.values[i].clone()).collect();
        Site::new(self.graph.clone(), id, x, self.values[id].clone())
    }
}

impl Site {
    /// A node with values that it reads and gives.
    pub fn new(graph: Arc<Graph>, id: NodeId, x: Vec<Tensor>, y: Tensor) -> Self {
        Self { graph, id, x, y, account: Arc::default() }
    }

    /// Notes relevance that a rule keeps back.
    pub fn keep_back(&self, part: Account) {
        *self.account.lock().unwrap_or_else(PoisonError::into_inner) += part;
    }

    /// What rules kept back so far.
    pub fn account(&self) -> Account {
        *self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node itself.
    pub fn node(&self) -> &Node {
        &self.graph.nodes[self.id]
    }

    /// `dyᵀ · ∂y/∂xᵢ`: the gradient of input `i` from the gradient of the value.
    pub fn vjp(&self, dy: &Tensor, i: usize) -> Result<Tensor> {
        let node = self.node();
        node.op
            .vjp(self, &node.params, dy, i)
            .with_context(|| format!("going back through layer \"{}\" ({})", node.name, node.op.kind()))
    }

    /// `dyᵀ · ∂y/∂w` for each parameter, in the order of `Op::params`.
    pub fn vjp_params(&self, dy: &Tensor) -> Result<Vec<Tensor>> {
        let node = self.node();
        node.op
            .vjp_params(self, &node.params, dy)
            .with_context(|| format!("weight gradients of layer \"{}\" ({})", node.name, node.op.kind()))
    }
}
