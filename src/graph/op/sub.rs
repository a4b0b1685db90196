//! Elementwise subtraction.

use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::together::{drawn, rank, sum_to_input, together, with_rank};
use super::{Op, Saved};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// `x − y`.
#[derive(Debug)]
pub struct Sub;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "sub",
    family: Family::Elementwise,
    torch: "x - y",
    note: "shapes broadcast",
    onnx: &["Sub"],
    aten: &["sub.Tensor", "sub_.Tensor"],
    aliases: &[],
    inputs: Inputs::Two,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Sub)),
    from_shapes: None,
    relevance: DefaultRule::Share,
    draw: |d| drawn(Sub, d, 2),
};

impl Op for Sub {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        together(x)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let rank = rank(x);
        Ok(with_rank(x[0], rank)?.broadcast_sub(&with_rank(x[1], rank)?)?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        let part = sum_to_input(dy, &at.dims(i)?)?;
        Ok(if i == 0 { part } else { part.neg()? })
    }
}
