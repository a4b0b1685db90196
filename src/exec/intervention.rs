//! Forward passes that replace the values of some nodes, for ablation and activation patching.

use super::trace::Trace;
use crate::graph::{Graph, Node};
use crate::tensor::repeated;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// A function that replaces a node's value before other nodes read it.
///
/// The result must have the same shape as the value except for the batch size, which may grow to a multiple, with one row per variant.
pub type Intervention<'a> = dyn FnMut(&Node, Tensor) -> Result<Tensor> + 'a;

impl Graph {
    /// Runs the network and passes each node's value through `edit` before other nodes read it. An edit can ablate or patch
    /// activations, report progress, or stop the run with an error.
    ///
    /// If an edit enlarges the batch, the values of other branches are repeated along the batch, so row `r` of the larger batch
    /// belongs to picture `r % N`.
    ///
    /// Errors if an edit fails or returns a value whose shape differs in more than the batch size.
    pub fn forward_with(self: &Arc<Self>, x: &Tensor, edit: &mut Intervention) -> Result<Trace> {
        self.check_input(x)?;
        let mut values: Vec<Tensor> = Vec::with_capacity(self.nodes.len());
        for (id, node) in self.nodes.iter().enumerate() {
            let y = if id == 0 { x.clone() } else { node.forward_on(&values)? };
            values.push(edited(node, y, edit)?);
        }
        Ok(Trace::new(self.clone(), with_one_batch(values)?))
    }
}

impl Trace {
    /// Reruns the same pictures, passing the values of the nodes selected by `chosen` through `edit`. Only nodes that depend on
    /// the selected nodes are recomputed; the others keep their values from this trace.
    ///
    /// The result is the same as that of [`Graph::forward_with`] with the same edit. A backward pass through the new trace treats
    /// an edit as the identity, so that the gradient at an edited node is that of the unmodified network.
    pub fn forward_with(&self, chosen: &dyn Fn(&Node) -> bool, edit: &mut Intervention) -> Result<Trace> {
        let ids: Vec<_> = (0..self.graph.nodes.len()).filter(|&id| chosen(&self.graph.nodes[id])).collect();
        if let (&[id], Some(run)) = (&ids[..], self.shared_run()) {
            let rerun = run.rerun(&self.graph, id, |value| edited(&self.graph.nodes[id], value, edit))?;
            if let Some(rerun) = rerun {
                return Ok(Self::fused_run(self.graph.clone(), rerun));
            }
        }
        let mut values = (0..self.graph.nodes.len()).map(|id| self.value(id).cloned()).collect::<Result<Vec<_>>>()?;
        let mut changed = vec![false; values.len()];
        for (id, node) in self.graph.nodes.iter().enumerate() {
            let stale = node.inputs.iter().any(|&i| changed[i]);
            if stale {
                values[id] = node.forward_on(&values)?;
            }
            if chosen(node) {
                values[id] = edited(node, values[id].clone(), edit)?;
            }
            changed[id] = stale || chosen(node);
        }
        Ok(Trace::new(self.graph.clone(), with_one_batch(values)?))
    }
}

impl Node {
    /// Applies the node's operation to its inputs, which are looked up in `values`, the values of all nodes. Constants are
    /// converted to the dtype of the network's input.
    fn forward_on(&self, values: &[Tensor]) -> Result<Tensor> {
        if self.inputs.is_empty() {
            return Ok(self.forward(&[])?.to_dtype(values[0].dtype())?.to_device(values[0].device())?);
        }
        let read = with_one_batch(self.inputs.iter().map(|&i| values[i].clone()).collect())?;
        self.forward(&read.iter().collect::<Vec<_>>())
    }
}

/// Applies an edit to the value `y` of a node and converts the result to the dtype of `y`.
fn edited(node: &Node, y: Tensor, edit: &mut Intervention) -> Result<Tensor> {
    let (shape, dtype) = (y.dims().to_vec(), y.dtype());
    let new = edit(node, y)?;
    let fits = new.rank() == shape.len() && new.dims()[1..] == shape[1..] && new.dims()[0] >= shape[0];
    ensure!(
        fits && new.dims()[0].is_multiple_of(shape[0].max(1)),
        "an edit of layer \"{}\" returned shape {:?} for a value of shape {shape:?}; only the batch size may change, to a multiple of {}",
        node.name,
        new.dims(),
        shape[0]
    );
    Ok(new.to_dtype(dtype)?)
}

/// Tiles the values to the largest batch size among them.
fn with_one_batch(values: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let batch = values.iter().map(|v| v.dims()[0]).max().unwrap_or(0);
    values.into_iter().map(|v| repeated(v, batch)).collect()
}
