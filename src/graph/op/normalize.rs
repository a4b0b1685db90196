//! The input normalization of a network.

use super::argument::Argument;
use super::channels;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Pattern, Saved};
use crate::tensor;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// `(x − mean) / std` for each channel, as during training.
#[derive(Debug)]
pub struct Normalize {
    /// Mean of each channel, for pixels in `[0, 1]`.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel, for pixels in `[0, 1]`.
    pub std: Vec<f64>,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "normalize",
    family: Family::Norm,
    torch: "Normalize",
    note: "`(x - mean) / std` per channel",
    onnx: &[],
    aten: &[],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("mean"), Argument::required("std")],
    build: |a, x| {
        let (mean, std, channels) = (a.floats("mean")?, a.floats("std")?, channels(x)?);
        ensure!(
            mean.len() == channels && std.len() == channels && !std.contains(&0.0),
            "expected a mean and a nonzero standard deviation for each of {channels} channels"
        );
        Ok(Arc::new(Normalize { mean, std }))
    },
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| {
        let map = d.map();
        let values = |first: f64| (0..map[1]).map(|i| first + 0.1 * i as f64).collect();
        Case::new(Normalize { mean: values(0.3), std: values(0.2) }, &[&map])
    },
};

impl Normalize {
    fn per_channel(&self, values: &[f64], like: &Tensor) -> Result<Tensor> {
        tensor::like(values, (1, values.len(), 1, 1), like)
    }
}

impl Op for Normalize {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::Affine
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(x.len() == 1 && x[0].len() >= 2, "expected one input of shape (N, C, …), got {x:?}");
        ensure!(
            self.mean.len() == x[0][1] && self.std.len() == x[0][1],
            "expected one mean and one standard deviation for each of {} channels, got {} and {}",
            x[0][1],
            self.mean.len(),
            self.std.len()
        );
        ensure!(self.std.iter().all(|&s| s > 0.0), "standard deviations must be positive");
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let x = x[0];
        Ok(x.broadcast_sub(&self.per_channel(&self.mean, x)?)?.broadcast_div(&self.per_channel(&self.std, x)?)?)
    }

    fn vjp(&self, _: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.broadcast_div(&self.per_channel(&self.std, dy)?)?)
    }
}
