//! Elementwise multiplication.

use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::together::{drawn, rank, sum_to_input, together, with_rank};
use super::{Op, Pattern, Saved};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// `x₁ · x₂ · …`, as in gating.
#[derive(Debug)]
pub struct Mul;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "mul",
    family: Family::Elementwise,
    torch: "x * y",
    note: "shapes broadcast",
    onnx: &["Mul"],
    aten: &["mul.Tensor", "mul_.Tensor"],
    aliases: &["multiply"],
    inputs: Inputs::Two,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Mul)),
    from_shapes: None,
    relevance: DefaultRule::Product,
    draw: |d| drawn(Mul, d, 3),
};

impl Op for Mul {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::Mul
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        together(x)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let rank = rank(x);
        x[1..].iter().try_fold(with_rank(x[0], rank)?, |product, x| Ok(product.broadcast_mul(&with_rank(x, rank)?)?))
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        let others = (0..at.reads()).filter(|k| *k != i);
        let product = others.map(|k| at.x(k)).try_fold(dy.clone(), |product, x| -> Result<_> {
            Ok(product.broadcast_mul(&with_rank(x?, dy.rank())?)?)
        })?;
        sum_to_input(&product, &at.dims(i)?)
    }
}
