//! Max pooling.

use super::AvgPool;
use super::argument::Argument;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::windows::{draw, mapped, pooled, windows};
use super::{Case, Op, Pattern, Saved};
use crate::backend::{self, Pool2d};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// The maximum of each window; PyTorch's `MaxPool2d`.
#[derive(Debug)]
pub struct MaxPool {
    /// The pooling windows.
    pub pool: Pool2d,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "max_pool",
    family: Family::Pool,
    torch: "MaxPool2d",
    note: "",
    onnx: &["MaxPool"],
    aten: &["max_pool2d.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[
        Argument::required("kernel_size").or(&["kernel"]),
        Argument::same("stride", "kernel_size"),
        Argument::int("padding", 0),
        Argument::int("dilation", 1),
        Argument::bool("ceil_mode", false).or(&["ceil"]),
    ],
    build: |a, _| Ok(Arc::new(MaxPool { pool: windows(a, a.pair("dilation")?)? })),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let pool = draw(d, true);
        Case::new(MaxPool { pool }, &[&mapped(d, &pool)])
    },
};

impl Op for MaxPool {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::Max(self.pool)
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        pooled(x, &self.pool)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        backend::max_pool2d(x[0], &self.pool)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        backend::max_pool2d_vjp(dy, at.x(0)?, &self.pool)
    }

    fn mean(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(AvgPool { pool: self.pool, include_pad: true }))
    }
}
