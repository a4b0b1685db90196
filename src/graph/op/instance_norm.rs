//! Instance normalization.

use super::argument::Argument;
use super::channels;
use super::group_norm::GroupNorm;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Saved, maps};
use crate::graph::Parameter;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// `γ (x − μ) / √(σ² + ε) + β`, where μ and σ² are the mean and the biased variance of each channel of each picture; PyTorch's
/// `InstanceNorm2d(affine=True)` (Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022).
#[derive(Debug)]
pub struct InstanceNorm {
    /// Number of channels.
    pub channels: usize,
    /// ε, added to the variance.
    pub epsilon: f64,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "instance_norm",
    family: Family::Norm,
    torch: "InstanceNorm2d",
    note: "affine=True",
    onnx: &["InstanceNormalization"],
    aten: &["instance_norm.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::float("eps", 1e-5).or(&["epsilon"])],
    build: |a, x| Ok(Arc::new(InstanceNorm { channels: channels(x)?, epsilon: a.float("eps")? })),
    from_shapes: None,
    relevance: DefaultRule::Normalize,
    draw: |d| {
        let map = d.map();
        Case::new(InstanceNorm { channels: map[1], epsilon: 1e-3 }, &[&map])
    },
};

impl InstanceNorm {
    /// The equivalent group norm, in which each channel is a group.
    fn by_group(&self) -> GroupNorm {
        GroupNorm { groups: self.channels, channels: self.channels, epsilon: self.epsilon, affine: true }
    }
}

impl Op for InstanceNorm {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let shape = maps(x)?;
        ensure!(shape[1] == self.channels, "expects {} channels, got {}", self.channels, shape[1]);
        Ok(shape.to_vec())
    }

    fn params(&self) -> Vec<Parameter> {
        self.by_group().params()
    }

    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor> {
        self.by_group().forward(x, w)
    }

    fn vjp(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        self.by_group().vjp(at, w, dy, i)
    }

    fn vjp_detached(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor) -> Result<Tensor> {
        self.by_group().vjp_detached(at, w, dy)
    }

    fn vjp_params(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        self.by_group().vjp_params(at, w, dy)
    }
}
