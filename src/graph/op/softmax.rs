//! Softmax.

use super::argument::Argument;
use super::over_dim::{drawn, same_shape};
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Pattern, Saved};
use crate::backend;
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// `pᵢ = eˣⁱ / Σ eˣʲ` along a dimension; PyTorch's `Softmax`.
#[derive(Clone, Copy, Debug)]
pub struct Softmax {
    /// The dimension over which the probabilities sum to 1; never the batch dimension.
    pub dim: usize,
}

impl Default for Softmax {
    /// Normalizes over channels.
    fn default() -> Self {
        Self { dim: 1 }
    }
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "softmax",
    family: Family::Softmax,
    torch: "Softmax",
    note: "",
    onnx: &["Softmax"],
    aten: &["softmax.int", "_softmax.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::int("dim", 1).by_place().or(&["axis"])],
    build: |a, x| Ok(Arc::new(Softmax { dim: a.inner_dim("dim", x[0])? })),
    from_shapes: None,
    relevance: DefaultRule::Softmax,
    draw: |d| drawn(|dim| Softmax { dim }, d),
};

impl Op for Softmax {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, x: &[usize]) -> Pattern {
        if self.dim + 1 == x.len() { Pattern::Softmax } else { Pattern::Other }
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        same_shape(x, self.dim)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        backend::softmax(x[0], self.dim)
    }

    fn softmax_dim(&self) -> Option<usize> {
        Some(self.dim)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        backend::softmax_vjp(dy, at.y()?, self.dim)
    }
}
