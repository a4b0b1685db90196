//! Runs in which the values of some nodes are changed on the way: ablation and patching.

use super::trace::Trace;
use crate::graph::{Graph, Node};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// What is done to a node's value before others read it.
///
/// The value it gives has the node's shape but for the batch, which may grow to a multiple: one row a variant.
pub type Intervention<'a> = dyn FnMut(&Node, Tensor) -> Result<Tensor> + 'a;

impl Graph {
    /// Runs the network and passes each node's value through `edit` before others read it: to ablate or patch
    /// activations, to report progress, to stop.
    ///
    /// Where an edit makes the batch larger, the values of other branches are repeated as wholes: row `r` of a larger
    /// batch belongs to picture `r % N`. Errors when an edit gives another shape.
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
    /// The same pictures again: nodes that `chosen` names pass their value through `edit`, and only those that depend
    /// on one of them are computed. All others keep the values of this trace.
    ///
    /// Gives the numbers of [`Graph::forward_with`] with the same edit. A walk back from there takes an edit for no
    /// operation at all: behind an edited node its gradient is that of the network as it is.
    pub fn forward_with(&self, chosen: &dyn Fn(&Node) -> bool, edit: &mut Intervention) -> Result<Trace> {
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
    /// Its operation on its inputs among the values of all nodes.
    fn forward_on(&self, values: &[Tensor]) -> Result<Tensor> {
        let read = with_one_batch(self.inputs.iter().map(|&i| values[i].clone()).collect())?;
        self.forward(&read.iter().collect::<Vec<_>>())
    }
}

/// The value that an edit makes of `y`, in the type of `y`.
fn edited(node: &Node, y: Tensor, edit: &mut Intervention) -> Result<Tensor> {
    let (shape, dtype) = (y.dims().to_vec(), y.dtype());
    let new = edit(node, y)?;
    let fits = new.rank() == shape.len() && new.dims()[1..] == shape[1..] && new.dims()[0] >= shape[0];
    ensure!(
        fits && new.dims()[0].is_multiple_of(shape[0].max(1)),
        "an edit of layer \"{}\" gave the shape {:?} for a value of {shape:?}; only the batch may change, to a multiple of {}",
        node.name,
        new.dims(),
        shape[0]
    );
    Ok(new.to_dtype(dtype)?)
}

/// All values with the largest batch among them, smaller ones repeated as wholes.
fn with_one_batch(values: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let batch = values.iter().map(|v| v.dims()[0]).max().unwrap_or(0);
    values.into_iter().map(|v| repeated(v, batch)).collect()
}

/// `x` again and again up to this batch; a single row is not copied.
fn repeated(x: Tensor, batch: usize) -> Result<Tensor> {
    let (own, rest) = (x.dims()[0], x.dims()[1..].to_vec());
    if own == batch {
        return Ok(x);
    }
    ensure!(
        own > 0 && batch.is_multiple_of(own),
        "edits gave batches of {own} and {batch} rows that meet in one layer"
    );
    let times = x.unsqueeze(0)?.broadcast_as([&[batch / own, own][..], &rest].concat())?;
    Ok(if own == 1 { times.squeeze(1)? } else { times.reshape([&[batch][..], &rest].concat())? })
}
