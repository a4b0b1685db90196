//! Log probabilities.

use super::argument::Argument;
use super::over_dim::{drawn, same_shape};
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Saved};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// `xᵢ − log Σ eˣʲ` along a dimension; PyTorch's `LogSoftmax`.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmax {
    /// The dimension over which the probabilities sum to 1; never the batch dimension.
    pub dim: usize,
}

impl Default for LogSoftmax {
    /// Normalizes over channels.
    fn default() -> Self {
        Self { dim: 1 }
    }
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "log_softmax",
    family: Family::Softmax,
    torch: "LogSoftmax",
    note: "",
    onnx: &["LogSoftmax"],
    aten: &["log_softmax.int", "_log_softmax.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::int("dim", 1).by_place().or(&["axis"])],
    build: |a, x| Ok(Arc::new(LogSoftmax { dim: a.inner_dim("dim", x[0])? })),
    from_shapes: None,
    relevance: DefaultRule::Share,
    draw: |d| drawn(|dim| LogSoftmax { dim }, d),
};

impl Op for LogSoftmax {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        same_shape(x, self.dim)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(candle_nn::ops::log_softmax(x[0], self.dim)?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok((dy - at.y()?.exp()?.broadcast_mul(&dy.sum_keepdim(self.dim)?)?)?)
    }
}
