//! Forward passes of a network: fused on the CPU in f32, node by node otherwise.

use super::fused::{self, FusedRun, Masks};
use super::trace::Trace;
use crate::graph::{Graph, Node};
use crate::tensor::row_dims;
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// Maximum number of elements, summed over all nodes, of a batch that is run at once to compute scores. In f32, this is 4 GiB,
/// about a fifth of which is live at any one time.
pub const MAX_BATCH_ELEMENTS: usize = 1 << 30;

impl Graph {
    /// Runs the network on `x`, `(N, C, H, W)` in `[0, 1]`.
    pub fn forward(self: &Arc<Self>, x: &Tensor) -> Result<Trace> {
        self.forward_until(x, &|_| Ok(()))
    }

    /// Like [`forward`](Self::forward), but calls `tick` before each step; `tick` may stop the run with an error.
    pub fn forward_until(self: &Arc<Self>, x: &Tensor, tick: &dyn Fn(&Node) -> Result<()>) -> Result<Trace> {
        self.check_input(x)?;
        match fused::plan(self, x)? {
            Some(plan) => Ok(Trace::fused_run(self.clone(), FusedRun::new(plan, self, x, &Masks::default(), tick)?)),
            None => self.forward_with(x, &mut |node, y| tick(node).map(|()| y)),
        }
    }

    /// Runs a network in [training mode](Graph::in_training). The value of each dropout node is multiplied by its mask, which has
    /// the same shape.
    pub fn forward_masked(self: &Arc<Self>, x: &Tensor, masks: &Masks) -> Result<Trace> {
        self.check_input(x)?;
        if let Some(plan) = fused::plan(self, x)? {
            return Ok(Trace::fused_run(self.clone(), FusedRun::new(plan, self, x, masks, &|_| Ok(()))?));
        }
        let mut id = 0;
        self.forward_with(x, &mut |_, y| {
            let masked = match masks.get(&id) {
                Some(mask) => (y * mask)?,
                None => y,
            };
            id += 1;
            Ok(masked)
        })
    }

    /// The logits, `(N, classes)`, of a batch of any size. Needs less memory than [`forward`](Self::forward), since intermediate
    /// values are not kept.
    pub fn logits(self: &Arc<Self>, x: &Tensor) -> Result<Tensor> {
        self.logits_until(x, &|_| Ok(()))
    }

    /// Like [`logits`](Self::logits), but calls `tick` before each step; `tick` may stop the run with an error.
    pub fn logits_until(self: &Arc<Self>, x: &Tensor, tick: &dyn Fn(&Node) -> Result<()>) -> Result<Tensor> {
        self.logits_in_parts(x, self.pictures_within(MAX_BATCH_ELEMENTS, row_dims(x)), tick)
    }

    /// Like [`logits_until`](Self::logits_until), but runs at most `most` pictures at a time.
    pub fn logits_in_parts(
        self: &Arc<Self>,
        x: &Tensor,
        most: usize,
        tick: &dyn Fn(&Node) -> Result<()>,
    ) -> Result<Tensor> {
        self.check_classes()?;
        self.check_input(x)?;
        let (n, most) = (x.dims()[0], most.max(1));
        if n <= most {
            return self.logits_at_once(x, tick);
        }
        let part = |first: usize| self.logits_at_once(&x.narrow(0, first, most.min(n - first))?, tick);
        let parts = (0..n).step_by(most).map(part).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&parts, 0)?)
    }

    fn logits_at_once(self: &Arc<Self>, x: &Tensor, tick: &dyn Fn(&Node) -> Result<()>) -> Result<Tensor> {
        let alone = fused::plan(self, x)?.map(|plan| FusedRun::logits(plan, self, x, tick)).transpose()?.flatten();
        match alone {
            Some(value) => self.scores.logits(&value),
            None => self.forward_until(x, tick)?.logits(),
        }
    }
}
