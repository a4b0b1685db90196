//! The network's input.

use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Saved};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// The input node: a batch of pictures with pixels in `[0, 1]`.
#[derive(Debug)]
pub struct Input;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "input",
    family: Family::Input,
    torch: "",
    note: "the picture",
    onnx: &[],
    aten: &[],
    aliases: &[],
    inputs: Inputs::None,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Input)),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| Case::new(Input, &[&d.map()]),
};

impl Op for Input {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        anyhow::bail!("the input node has no inputs, got {}", x.len())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].clone())
    }

    fn vjp(&self, _: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.clone())
    }
}
