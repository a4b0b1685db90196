//! Average pooling.

use super::argument::Argument;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::windows::{draw, mapped, pooled, windows};
use super::{Case, Op, Pattern, Saved};
use crate::backend::{self, Pool2d};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// The mean of each window; PyTorch's `AvgPool2d`.
#[derive(Debug)]
pub struct AvgPool {
    /// The pooling windows.
    pub pool: Pool2d,
    /// Whether zeros in the padding are included in the mean (PyTorch's `count_include_pad`).
    pub include_pad: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "avg_pool",
    family: Family::Pool,
    torch: "AvgPool2d",
    note: "",
    onnx: &["AveragePool"],
    aten: &["avg_pool2d.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[
        Argument::required("kernel_size").or(&["kernel"]),
        Argument::same("stride", "kernel_size"),
        Argument::int("padding", 0),
        Argument::bool("ceil_mode", false).or(&["ceil"]),
        Argument::bool("count_include_pad", true).or(&["include_pad"]),
    ],
    build: |a, _| Ok(Arc::new(AvgPool { pool: windows(a, (1, 1))?, include_pad: a.bool("count_include_pad")? })),
    from_shapes: None,
    relevance: DefaultRule::Share,
    draw: |d| {
        let pool = draw(d, false);
        Case::new(AvgPool { pool, include_pad: d.coin() }, &[&mapped(d, &pool)])
    },
};

impl Op for AvgPool {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::Mean(self.pool, self.include_pad)
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(self.pool.h.dilation == 1 && self.pool.w.dilation == 1, "average pooling does not support dilation");
        pooled(x, &self.pool)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        backend::avg_pool2d(x[0], &self.pool, self.include_pad)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        backend::avg_pool2d_vjp(dy, &at.dims(0)?, &self.pool, self.include_pad)
    }

    fn mean(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(AvgPool { pool: self.pool, include_pad: self.include_pad }))
    }
}
