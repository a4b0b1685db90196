//! The hyperbolic tangent.

use super::spec::{Family, Inputs, OpSpec, Relevance};
use super::{Case, Op, Site};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// Hyperbolic tangent.
#[derive(Debug)]
pub struct Tanh;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "tanh",
    family: Family::Activation,
    torch: "Tanh",
    note: "",
    onnx: &["Tanh"],
    aten: &["tanh.default", "tanh_.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Tanh)),
    from_shapes: None,
    relevance: Relevance::Pass,
    draw: |d| Case::new(Tanh, &[&d.map()]),
};

impl Op for Tanh {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].tanh()?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok((dy * (1.0 - at.y()?.sqr()?)?)?)
    }
}
