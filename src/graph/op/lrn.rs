//! AlexNet's local response normalization.

use super::argument::Argument;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Saved, maps};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// `x / (k + α/n Σ x²)^β` over `n` neighboring channels (Krizhevsky et al. 2012); PyTorch's `LocalResponseNorm`.
#[derive(Debug)]
pub struct Lrn {
    /// Number of neighboring channels, `n`.
    pub size: usize,
    /// `α`.
    pub alpha: f64,
    /// `β`.
    pub beta: f64,
    /// `k`.
    pub k: f64,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "lrn",
    family: Family::Norm,
    torch: "LocalResponseNorm",
    note: "",
    onnx: &["LRN"],
    aten: &[],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[
        Argument::required("size"),
        Argument::float("alpha", 1e-4),
        Argument::float("beta", 0.75),
        Argument::float("k", 1.0),
    ],
    build: |a, _| {
        let (alpha, beta, k) = (a.float("alpha")?, a.float("beta")?, a.float("k")?);
        Ok(Arc::new(Lrn { size: a.count("size")?, alpha, beta, k }))
    },
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| {
        let ([n, _, h, w], size, k) = (d.map(), d.between(1, 5), d.between(1, 2) as f64);
        Case::new(Lrn { size, alpha: 0.3, beta: 0.75, k }, &[&[n, d.between(1, 7), h, w]])
    },
};

impl Lrn {
    /// For each channel, the sum over a window of `size` channels that starts `before` channels before it.
    fn neighbours(&self, x: &Tensor, before: usize) -> Result<Tensor> {
        let channels = x.dim(1)?;
        let padded = x.pad_with_zeros(1, before, self.size - 1 - before)?;
        let mut sum = padded.narrow(1, 0, channels)?;
        for shift in 1..self.size {
            sum = (sum + padded.narrow(1, shift, channels)?)?;
        }
        Ok(sum)
    }

    /// `k + α/n Σ x²`, where the sum runs over neighboring channels.
    fn base(&self, x: &Tensor) -> Result<Tensor> {
        let sum = self.neighbours(&x.sqr()?, self.size / 2)?;
        Ok(((sum * (self.alpha / self.size as f64))? + self.k)?)
    }
}

impl Op for Lrn {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(self.size > 0, "the size of lrn's window must be at least 1");
        Ok(maps(x)?.to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok((x[0] * self.base(x[0])?.powf(-self.beta)?)?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let (x, base) = (at.x(0)?, self.base(at.x(0)?)?);
        let direct = (dy * base.powf(-self.beta)?)?;
        let shared = ((dy * x)? * base.powf(-self.beta - 1.0)?)?;
        let from = self.neighbours(&shared, self.size - 1 - self.size / 2)?;
        let factor = 2.0 * self.beta * self.alpha / self.size as f64;
        Ok((direct - ((x * from)? * factor)?)?)
    }
}
