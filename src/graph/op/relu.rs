//! The rectified linear unit.

use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Pattern, Saved};
use crate::backend;
use anyhow::Result;
use candle_core::Tensor;
use gradscope_engine::Activation;
use std::sync::Arc;

/// `max(0, x)`, with derivative 0 at 0 as in PyTorch.
#[derive(Debug)]
pub struct Relu;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "relu",
    family: Family::Activation,
    torch: "ReLU",
    note: "",
    onnx: &["Relu"],
    aten: &["relu.default", "relu_.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Relu)),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::elementwise(Relu, d, |x| x.max(0.0)),
};

impl Op for Relu {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::Activation(Activation::Relu)
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        backend::relu(x[0])
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        backend::relu_vjp(dy, at.sign()?)
    }
}
