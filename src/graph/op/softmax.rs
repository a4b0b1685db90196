//! Probabilities of scores.

use super::spec::{Family, Inputs, OpSpec, Relevance};
use super::{Case, Op, Site};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// `pᵢ = eˣⁱ / Σ eˣʲ`.
#[derive(Debug)]
pub struct Softmax;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "softmax",
    family: Family::Softmax,
    torch: "Softmax",
    note: "over dimension 1",
    onnx: &["Softmax"],
    aten: &["softmax.int", "_softmax.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Softmax)),
    from_shapes: None,
    relevance: Relevance::Gradient,
    draw: |d| {
        let rank = if d.coin() { 4 } else { 2 };
        Case::new(Softmax, &[&[d.between(1, 3), d.between(1, 9), 2, 3][..rank]])
    },
};

impl Op for Softmax {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        classes(x)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(candle_nn::ops::softmax(x[0], 1)?)
    }

    /// `p (dy − Σ p dy)`
    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let mean = (at.y()? * dy)?.sum_keepdim(1)?;
        Ok((at.y()? * dy.broadcast_sub(&mean)?)?)
    }
}

/// The shape of scores.
pub(super) fn classes(x: &[&[usize]]) -> Result<Vec<usize>> {
    ensure!(x.len() == 1 && x[0].len() >= 2, "it reads one (N, classes, …) value, got {x:?}");
    Ok(x[0].to_vec())
}
