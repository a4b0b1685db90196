//! Elementwise division.

use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::together::{drawn, rank, sum_to_input, together, with_rank};
use super::{Op, Saved};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// `x / y`.
#[derive(Debug)]
pub struct Div;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "div",
    family: Family::Elementwise,
    torch: "x / y",
    note: "shapes broadcast",
    onnx: &["Div"],
    aten: &["div.Tensor", "div_.Tensor"],
    aliases: &["divide"],
    inputs: Inputs::Two,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Div)),
    from_shapes: None,
    relevance: DefaultRule::Product,
    draw: |d| drawn(Div, d, 2),
};

impl Op for Div {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        together(x)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let rank = rank(x);
        Ok(with_rank(x[0], rank)?.broadcast_div(&with_rank(x[1], rank)?)?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        let part = dy.broadcast_div(&with_rank(at.x(1)?, dy.rank())?)?;
        let part = if i == 0 { part } else { (part * at.y()?)?.neg()? };
        sum_to_input(&part, &at.dims(i)?)
    }
}
