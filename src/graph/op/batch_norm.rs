//! Batch normalization with running statistics.

use super::argument::Argument;
use super::channels;
use super::in_training::Tracked;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Pattern, Saved, trained};
use crate::backend::{RowNorm, batch_norm, batch_norm_vjp, channel_affine};
use crate::graph::Parameter;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// `γ (x − μ) / √(σ² + ε) + β` for each channel, where μ and σ² are running statistics in evaluation and batch statistics in
/// training (Ioffe & Szegedy 2015, arXiv:1502.03167); PyTorch's `BatchNorm2d`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm {
    /// Number of channels.
    pub channels: usize,
    /// ε, added to the variance.
    pub epsilon: f64,
    /// Weight of the batch statistics in the update of the running statistics, in `[0, 1]`.
    pub momentum: f64,
    /// Whether to normalize with batch statistics, as in training.
    pub training: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "batch_norm",
    family: Family::Norm,
    torch: "BatchNorm2d",
    note: "normalizes with running statistics; with batch statistics in training mode",
    onnx: &["BatchNormalization"],
    aten: &["batch_norm.default", "_native_batch_norm_legit_no_training.default"],
    aliases: &["bn", "batchnorm1d"],
    inputs: Inputs::One,
    arguments: &[Argument::float("eps", 1e-5).or(&["epsilon"]), Argument::float("momentum", 0.1)],
    build: |a, x| {
        let momentum = a.float("momentum")?;
        ensure!((0.0..=1.0).contains(&momentum), "momentum must be from 0 to 1, got {momentum}");
        Ok(Arc::new(BatchNorm { momentum, ..BatchNorm::new(channels(x)?, a.float("eps")?) }))
    },
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| {
        let map = d.map();
        let rank = if d.coin() { 4 } else { 2 };
        let training = rank == 4 && d.coin();
        Case::new(BatchNorm { training, ..BatchNorm::new(map[1], 1e-5) }, &[&map[..rank]])
    },
};

impl BatchNorm {
    /// A batch norm in evaluation mode, with PyTorch's default momentum.
    pub fn new(channels: usize, epsilon: f64) -> Self {
        Self { channels, epsilon, momentum: 0.1, training: false }
    }

    /// `1 / √(σ² + ε)` from `[γ, β, μ, σ²]`.
    fn inverse(&self, w: &[Tensor]) -> Result<Tensor> {
        Ok((&w[3] + self.epsilon)?.sqrt()?.recip()?)
    }

    /// Rearranges `(N, C, …)` into `(C, elements)`: one row per channel, holding all of its elements.
    fn rows(x: &Tensor) -> Result<Tensor> {
        Ok(x.transpose(0, 1)?.contiguous()?.reshape((x.dims()[1], ()))?)
    }

    /// The inverse of `rows`, for a value of shape `shape`.
    fn unrowed(rows: &Tensor, shape: &[usize]) -> Result<Tensor> {
        let mut turned = shape.to_vec();
        turned.swap(0, 1);
        Ok(rows.reshape(turned)?.transpose(0, 1)?.contiguous()?)
    }

    /// The norm of each channel over the batch, for values in [`rows`](Self::rows).
    fn norm(&self, rows: &Tensor) -> RowNorm {
        RowNorm { columns: rows.dims()[1], centered: true, epsilon: self.epsilon }
    }
}

impl Op for BatchNorm {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        if self.training { Pattern::BatchNorm(self.epsilon) } else { Pattern::Affine }
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(x.len() == 1 && x[0].len() >= 2, "expected one input of shape (N, C, …), got {x:?}");
        ensure!(x[0][1] == self.channels, "expected {} channels, got {}", self.channels, x[0][1]);
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
        if self.training {
            let rows = Self::rows(x[0])?;
            let normalized = self.norm(&rows).forward(&rows, &[])?;
            return channel_affine(&Self::unrowed(&normalized, x[0].dims())?, &w[0], &w[1]);
        }
        batch_norm(x[0], [&w[0], &w[1], &w[2], &w[3]], self.epsilon)
    }

    fn vjp(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        if self.training {
            let dy = channel_affine(dy, &w[0], &w[1].zeros_like()?)?;
            let rows = Self::rows(at.x(0)?)?;
            return Self::unrowed(&self.norm(&rows).vjp(&rows, &[], &Self::rows(&dy)?, false)?, &at.dims(0)?);
        }
        batch_norm_vjp(dy, &w[0], &w[3], self.epsilon)
    }

    fn vjp_params(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        let normalized = if self.training {
            let rows = Self::rows(at.x(0)?)?;
            self.norm(&rows).forward(&rows, &[])?
        } else {
            let inverse = self.inverse(w)?;
            Self::rows(&channel_affine(at.x(0)?, &inverse, &(w[2].neg()? * &inverse)?)?)?
        };
        let dy = Self::rows(dy)?;
        Ok(vec![(&dy * &normalized)?.sum(1)?, dy.sum(1)?, w[2].zeros_like()?, w[3].zeros_like()?])
    }

    fn in_training(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { training: true, ..*self }))
    }

    fn tracked(&self) -> Option<Tracked> {
        Some(Tracked { momentum: self.momentum })
    }
}
