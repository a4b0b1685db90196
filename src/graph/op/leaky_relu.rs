//! The rectifier that lets a share of negative numbers through.

use super::spec::{Argument, Family, Inputs, OpSpec, Relevance};
use super::{Case, Op, Site};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// `x` where positive, else `slope · x`.
#[derive(Debug)]
pub struct LeakyRelu {
    /// Factor for negative numbers.
    pub slope: f64,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "leaky_relu",
    family: Family::Activation,
    torch: "LeakyReLU",
    note: "",
    onnx: &["LeakyRelu"],
    aten: &["leaky_relu.default", "leaky_relu_.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::float("negative_slope", 0.01).by_place().or(&["slope", "alpha"])],
    build: |a, _| Ok(Arc::new(LeakyRelu { slope: a.float("negative_slope")? })),
    from_shapes: None,
    relevance: Relevance::Pass,
    draw: |d| Case::new(LeakyRelu { slope: 0.1 }, &[&d.map()]),
};

impl Op for LeakyRelu {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(candle_nn::ops::leaky_relu(x[0], self.slope)?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let factor = ((crate::tensor::positive(at.x(0)?)? * (1.0 - self.slope))? + self.slope)?;
        Ok((dy * factor)?)
    }
}
