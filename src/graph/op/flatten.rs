//! Flattening.

use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Pattern, Saved};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// Reshapes `(N, …)` to `(N, features)`; PyTorch's `Flatten`.
#[derive(Debug)]
pub struct Flatten;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "flatten",
    family: Family::Shape,
    torch: "flatten(1)",
    note: "",
    onnx: &["Flatten"],
    aten: &["flatten.using_ints"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Flatten)),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| Case::new(Flatten, &[&d.map()]),
};

impl Op for Flatten {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::Flatten
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(vec![x[0][0], x[0][1..].iter().product()])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].flatten_from(1)?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.reshape(at.dims(0)?)?)
    }
}
