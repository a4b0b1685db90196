//! The logistic function.

use super::spec::{Family, Inputs, OpSpec, Relevance};
use super::{Case, Op, Site};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// `1 / (1 + e⁻ˣ)`.
#[derive(Debug)]
pub struct Sigmoid;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "sigmoid",
    family: Family::Activation,
    torch: "Sigmoid",
    note: "",
    onnx: &["Sigmoid"],
    aten: &["sigmoid.default", "sigmoid_.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Sigmoid)),
    from_shapes: None,
    relevance: Relevance::Pass,
    draw: |d| Case::new(Sigmoid, &[&d.map()]),
};

impl Op for Sigmoid {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(candle_nn::ops::sigmoid(x[0])?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let slope = (at.y()? * (1.0 - at.y()?)?)?;
        Ok((dy * slope)?)
    }
}
