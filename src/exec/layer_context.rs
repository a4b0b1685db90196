//! A node of a run, as seen by relevance rules.

use super::absorbed::Absorbed;
use super::trace::Trace;
use crate::graph::op::Saved;
use crate::graph::{Graph, Node, NodeId};
use crate::sync::LockUnpoisoned;
use anyhow::{Context, Result};
use candle_core::Tensor;
use std::sync::{Arc, Mutex};

/// A node of a run, with its inputs, its value and the relevance it absorbed.
#[derive(Clone, Debug)]
pub struct LayerContext {
    /// The id of the node in the network.
    pub id: NodeId,
    trace: Trace,
    /// Relevance absorbed by rules at the node; shared between clones of the context.
    absorbed: Arc<Mutex<Absorbed>>,
}

impl Trace {
    /// The context of node `id`, through which a rule reads the node's inputs and value.
    pub fn site(&self, id: NodeId) -> LayerContext {
        LayerContext { id, trace: self.clone(), absorbed: Arc::default() }
    }
}

impl Saved for LayerContext {
    fn reads(&self) -> usize {
        self.node().inputs.len()
    }

    fn x(&self, i: usize) -> Result<&Tensor> {
        self.trace.value(self.node().inputs[i])
    }

    fn dims(&self, i: usize) -> Result<Vec<usize>> {
        self.trace.dims(self.node().inputs[i])
    }

    fn y(&self) -> Result<&Tensor> {
        self.trace.value(self.id)
    }

    fn sign(&self) -> Result<&Tensor> {
        if self.trace.fused().is_some() { self.y() } else { self.x(0) }
    }
}

impl LayerContext {
    /// The network that was run.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.trace.graph
    }

    /// The node that this context describes.
    pub fn node(&self) -> &Node {
        &self.trace.graph.nodes[self.id]
    }

    /// Records relevance absorbed at the node.
    pub fn absorb(&self, part: Absorbed) {
        *self.absorbed.lock_unpoisoned() += part;
    }

    /// Relevance absorbed at the node so far.
    pub fn absorbed(&self) -> Absorbed {
        *self.absorbed.lock_unpoisoned()
    }

    /// The gradient of input `i`, `dyᵀ · ∂y/∂xᵢ`, given the gradient `dy` of the node's value.
    pub fn vjp(&self, dy: &Tensor, i: usize) -> Result<Tensor> {
        let node = self.node();
        node.op
            .vjp(self, &node.weights()?, dy, i)
            .with_context(|| format!("backward pass of layer \"{}\" ({})", node.name, node.op.kind()))
    }

    /// Like [`vjp`](Self::vjp) for input 0, with the standard deviation of a norm held constant.
    pub fn vjp_detached(&self, dy: &Tensor) -> Result<Tensor> {
        let node = self.node();
        node.op
            .vjp_detached(self, &node.weights()?, dy)
            .with_context(|| format!("backward pass of layer \"{}\" ({})", node.name, node.op.kind()))
    }

    /// The gradients of the node's parameters, `dyᵀ · ∂y/∂w`, in the order of `Op::params`.
    pub fn vjp_params(&self, dy: &Tensor) -> Result<Vec<Tensor>> {
        let node = self.node();
        node.op
            .vjp_params(self, &node.weights()?, dy)
            .and_then(|dw| node.op.effective_vjp(&node.stored()?, dw))
            .with_context(|| format!("weight gradients of layer \"{}\" ({})", node.name, node.op.kind()))
    }
}
