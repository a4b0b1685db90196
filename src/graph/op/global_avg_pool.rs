//! Global average pooling.

use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Pattern, Saved, maps};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// The mean of each channel: maps `(N, C, H, W)` to `(N, C)`.
#[derive(Debug)]
pub struct GlobalAvgPool;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "global_avg_pool",
    family: Family::Pool,
    torch: "mean((2, 3))",
    note: "`(N, C, H, W)` to `(N, C)`",
    onnx: &["GlobalAveragePool"],
    aten: &[],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(GlobalAvgPool)),
    from_shapes: None,
    relevance: DefaultRule::Share,
    draw: |d| Case::new(GlobalAvgPool, &[&d.map()]),
};

impl Op for GlobalAvgPool {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, x: &[usize]) -> Pattern {
        Pattern::mean_of_maps(x)
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, _, _] = maps(x)?;
        Ok(vec![n, c])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].mean((2, 3))?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let [n, c, h, w] = maps(&[&at.dims(0)?])?;
        let share = (dy / (h * w) as f64)?.reshape((n, c, 1, 1))?;
        Ok(share.broadcast_as((n, c, h, w))?.contiguous()?)
    }

    fn mean(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self))
    }
}
