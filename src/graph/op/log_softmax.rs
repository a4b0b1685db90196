//! Logarithms of probabilities of scores.

use super::softmax::classes;
use super::spec::{Family, Inputs, OpSpec, Relevance};
use super::{Case, Op, Site};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// `log pᵢ`.
#[derive(Debug)]
pub struct LogSoftmax;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "log_softmax",
    family: Family::Softmax,
    torch: "LogSoftmax",
    note: "over dimension 1",
    onnx: &["LogSoftmax"],
    aten: &["log_softmax.int", "_log_softmax.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(LogSoftmax)),
    from_shapes: None,
    relevance: Relevance::Gradient,
    draw: |d| {
        let rank = if d.coin() { 4 } else { 2 };
        Case::new(LogSoftmax, &[&[d.between(1, 3), d.between(1, 9), 2, 3][..rank]])
    },
};

impl Op for LogSoftmax {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        classes(x)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(candle_nn::ops::log_softmax(x[0], 1)?)
    }

    /// `dy − p Σ dy`
    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok((dy - at.y()?.exp()?.broadcast_mul(&dy.sum_keepdim(1)?)?)?)
    }
}
