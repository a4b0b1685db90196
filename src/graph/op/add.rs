//! Elementwise addition.

use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::together::{drawn, together};
use super::{Op, Pattern, Saved};
use crate::backend::sum_to;
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
        x[1..].iter().try_fold(x[0].clone(), |sum, x| {
            Ok(if sum.dims() == x.dims() { (sum + *x)? } else { sum.broadcast_add(x)? })
        })
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        sum_to(dy, &at.dims(i)?)
    }
}
