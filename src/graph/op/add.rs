//! Elementwise addition.

use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::together::{drawn, rank, sum_to_input, together, with_rank};
use super::{Op, Pattern, Saved};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// `x₁ + x₂ + …`, as in skip connections.
#[derive(Debug)]
pub struct Add;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "add",
    family: Family::Elementwise,
    torch: "x + y",
    note: "shapes broadcast",
    onnx: &["Add"],
    aten: &["add.Tensor", "add_.Tensor"],
    aliases: &[],
    inputs: Inputs::Two,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Add)),
    from_shapes: None,
    relevance: DefaultRule::Share,
    draw: |d| drawn(Add, d, 3),
};

impl Op for Add {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::Add
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        together(x)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let rank = rank(x);
        x[1..].iter().try_fold(with_rank(x[0], rank)?, |sum, x| {
            Ok(if sum.dims() == x.dims() { (sum + *x)? } else { sum.broadcast_add(&with_rank(x, rank)?)? })
        })
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        sum_to_input(dy, &at.dims(i)?)
    }
}
