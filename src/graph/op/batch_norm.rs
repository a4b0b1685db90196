//! Batch normalization with running statistics.

use super::argument::Argument;
use super::channels;
use super::spec::{Family, Inputs, OpSpec, Relevance};
use super::{Case, Op, Pattern, Saved, trained};
use crate::graph::Parameter;
use crate::kernel::{batch_norm, batch_norm_vjp, channel_affine};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// `γ (x − μ) / √(σ² + ε) + β` for each channel, with μ and σ² as stored; PyTorch's `BatchNorm2d` in `eval` mode.
#[derive(Debug)]
pub struct BatchNorm {
    /// Channels.
    pub channels: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "batch_norm",
    family: Family::Norm,
    torch: "BatchNorm2d",
    note: "running statistics, as in eval mode",
    onnx: &["BatchNormalization"],
    aten: &["batch_norm.default", "_native_batch_norm_legit_no_training.default"],
    aliases: &["bn", "batchnorm1d"],
    inputs: Inputs::One,
    arguments: &[Argument::float("eps", 1e-5).or(&["epsilon"])],
    build: |a, x| Ok(Arc::new(BatchNorm { channels: channels(x)?, epsilon: a.float("eps")? })),
    from_shapes: None,
    relevance: Relevance::Pass,
    draw: |d| {
        let map = d.map();
        let rank = if d.coin() { 4 } else { 2 };
        Case::new(BatchNorm { channels: map[1], epsilon: 1e-5 }, &[&map[..rank]])
    },
};

impl BatchNorm {
    /// `1 / √(σ² + ε)` of `[γ, β, μ, σ²]`.
    fn inverse(&self, w: &[Tensor]) -> Result<Tensor> {
        Ok((&w[3] + self.epsilon)?.sqrt()?.recip()?)
    }
}

impl Op for BatchNorm {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::Affine
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(x.len() == 1 && x[0].len() >= 2, "it reads one (N, C, …) value, got {x:?}");
        ensure!(x[0][1] == self.channels, "it has {} channels, got {}", self.channels, x[0][1]);
        Ok(x[0].to_vec())
    }

    fn params(&self) -> Vec<Parameter> {
        let statistic = |name| Parameter { trained: false, ..trained(name, &[self.channels]) };
        vec![
            trained("weight", &[self.channels]),
            trained("bias", &[self.channels]),
            statistic("running_mean"),
            statistic("running_var"),
        ]
    }

    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor> {
        batch_norm(x[0], [&w[0], &w[1], &w[2], &w[3]], self.epsilon)
    }

    fn vjp(&self, _: &dyn Saved, w: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        batch_norm_vjp(dy, &w[0], &w[3], self.epsilon)
    }

    fn vjp_params(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        let inverse = self.inverse(w)?;
        let whitened = channel_affine(at.x(0)?, &inverse, &(w[2].neg()? * &inverse)?)?;
        let by_channel = |t: &Tensor| -> Result<Tensor> { Ok(t.flatten_from(2)?.sum((0, 2))?) };
        let maps = |t: &Tensor| -> Result<Tensor> { Ok(if t.rank() == 2 { t.unsqueeze(2)? } else { t.clone() }) };
        let (dy, whitened) = (maps(dy)?, maps(&whitened)?);
        Ok(vec![by_channel(&(&dy * &whitened)?)?, by_channel(&dy)?, w[2].zeros_like()?, w[3].zeros_like()?])
    }
}
