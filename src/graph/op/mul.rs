//! Products of values.

use super::add::same;
use super::spec::{Family, Inputs, OpSpec, Relevance};
use super::{Case, Op, Site};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// `x₁ · x₂ · …`: gates.
#[derive(Debug)]
pub struct Mul;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "mul",
    family: Family::Elementwise,
    torch: "x * y",
    note: "",
    onnx: &["Mul"],
    aten: &["mul.Tensor", "mul_.Tensor"],
    aliases: &["multiply"],
    inputs: Inputs::Two,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Mul)),
    from_shapes: None,
    relevance: Relevance::Gradient,
    draw: |d| {
        let map = d.map();
        Case::new(Mul, &[&map[..]; 3][..d.between(2, 3)])
    },
};

impl Op for Mul {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        same(x)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        x[1..].iter().try_fold(x[0].clone(), |product, x| Ok((product * *x)?))
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        (0..at.reads()).filter(|k| *k != i).try_fold(dy.clone(), |product, k| Ok((product * at.x(k)?)?))
    }
}
