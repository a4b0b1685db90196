//! Random masks for dropout during training, and the matching backward rule.

use super::batch::Batches;
use crate::exec::{LayerContext, Masks, Trace};
use crate::explain::{Composite, Selector};
use crate::graph::op::{Dropped, Family};
use crate::graph::{Graph, NodeId};
use anyhow::Result;
use candle_core::Tensor;
use rand::Rng;
use std::sync::Arc;

/// Dropout masks for the batch `x` of the pictures `numbers`, one per dropout node: 0 for dropped values, `1 / (1 − p)` for kept values. A
/// picture's mask does not depend on the rest of the batch.
pub(super) fn masks(graph: &Graph, batches: &Batches, numbers: &[usize], epoch: usize, x: &Tensor) -> Result<Masks> {
    let shapes = graph.shapes(&x.dims()[1..])?;
    let dropping = |id: &NodeId| graph.nodes[*id].op.dropout().is_some_and(|d| d.p > 0.0);
    let masks = (0..graph.nodes.len()).filter(dropping).map(|id| {
        let op = graph.nodes[id].op.dropout().unwrap_or_default();
        let shape = [&[numbers.len()], &shapes[id][1..]].concat();
        let rows = numbers.iter().map(|&n| row(op, &shape[1..], batches.of_picture(epoch, n, 1 + id as u64)));
        let mask = Tensor::from_vec(rows.flatten().collect::<Vec<f32>>(), shape, x.device())?;
        Ok((id, mask.to_dtype(x.dtype())?))
    });
    Ok(Arc::new(masks.collect::<Result<_>>()?))
}

/// The backward rules for a forward pass with dropout masks; a fused forward pass needs no special rules.
pub(super) fn composite<'a>(trace: &Trace, masks: &'a Masks) -> Composite<'a> {
    if trace.fused().is_some() {
        return Composite::gradient();
    }
    let rule =
        |site: &LayerContext, r: &Tensor| Ok(vec![masks.get(&site.id).map_or_else(|| Ok(r.clone()), |mask| r * mask)?]);
    Composite::gradient().with(Selector::Kind(vec![Family::Dropout.name().into()]), Box::new(rule))
}

/// Draws the mask of one picture; `shape` excludes the batch dimension.
fn row(op: Dropped, shape: &[usize], mut random: impl Rng) -> Vec<f32> {
    let kept = if op.p < 1.0 { (1.0 / (1.0 - op.p)) as f32 } else { 0.0 };
    let each = if op.channels { shape[1..].iter().product() } else { 1 };
    let count = shape.iter().product::<usize>() / each.max(1);
    let draws = (0..count).map(|_| if random.random::<f64>() < op.p { 0.0 } else { kept });
    draws.flat_map(|value| std::iter::repeat_n(value, each)).collect()
}
