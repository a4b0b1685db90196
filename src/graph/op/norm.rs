//! Normalisations: batch norm with its running statistics, instance norm, and AlexNet's local response.

use super::{Form, Op, Site, maps, trained};
use crate::graph::Parameter;
use crate::kernel::{batch_norm, batch_norm_vjp, channel_affine};
use anyhow::{Result, ensure};
use candle_core::Tensor;

/// `γ (x − μ) / √(σ² + ε) + β` for each channel, with μ and σ² as stored; PyTorch's `BatchNorm2d` in `eval` mode.
#[derive(Debug)]
pub struct BatchNorm {
    /// Channels.
    pub channels: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

impl BatchNorm {
    /// `1 / √(σ² + ε)` of `[γ, β, μ, σ²]`.
    fn inverse(&self, w: &[Tensor]) -> Result<Tensor> {
        Ok((&w[3] + self.epsilon)?.sqrt()?.recip()?)
    }
}

impl Op for BatchNorm {
    fn kind(&self) -> &'static str {
        "batch_norm"
    }

    fn form(&self, _: &[usize]) -> Form {
        Form::Affine
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

    fn vjp(&self, _: &Site, w: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        batch_norm_vjp(dy, &w[0], &w[3], self.epsilon)
    }

    fn vjp_params(&self, at: &Site, w: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        let inverse = self.inverse(w)?;
        let whitened = channel_affine(at.x(0)?, &inverse, &(w[2].neg()? * &inverse)?)?;
        let by_channel = |t: &Tensor| -> Result<Tensor> { Ok(t.flatten_from(2)?.sum((0, 2))?) };
        let maps = |t: &Tensor| -> Result<Tensor> { Ok(if t.rank() == 2 { t.unsqueeze(2)? } else { t.clone() }) };
        let (dy, whitened) = (maps(dy)?, maps(&whitened)?);
        Ok(vec![by_channel(&(&dy * &whitened)?)?, by_channel(&dy)?, w[2].zeros_like()?, w[3].zeros_like()?])
    }
}

/// `γ (x − μ) / √(σ² + ε) + β` with the mean and the biased variance of each picture's each channel; PyTorch's
/// `InstanceNorm2d(affine=True)` (Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022).
#[derive(Debug)]
pub struct InstanceNorm {
    /// Channels.
    pub channels: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

impl InstanceNorm {
    /// `(x − μ) / √(σ² + ε)` as `(N, C, H · W)`, and `1 / √(σ² + ε)` as `(N, C, 1)`.
    fn whitened(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let x = x.flatten_from(2)?;
        let centred = x.broadcast_sub(&x.mean_keepdim(2)?)?;
        let inverse = (centred.sqr()?.mean_keepdim(2)? + self.epsilon)?.sqrt()?.recip()?;
        Ok((centred.broadcast_mul(&inverse)?, inverse))
    }
}

impl Op for InstanceNorm {
    fn kind(&self) -> &'static str {
        "instance_norm"
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let shape = maps(x)?;
        ensure!(shape[1] == self.channels, "it has {} channels, got {}", self.channels, shape[1]);
        Ok(shape.to_vec())
    }

    fn params(&self) -> Vec<Parameter> {
        vec![trained("weight", &[self.channels]), trained("bias", &[self.channels])]
    }

    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor> {
        channel_affine(&self.whitened(x[0])?.0.reshape(x[0].dims())?, &w[0], &w[1])
    }

    fn vjp(&self, at: &Site, w: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let (whitened, inverse) = self.whitened(at.x(0)?)?;
        let g = channel_affine(dy, &w[0], &w[1].zeros_like()?)?.flatten_from(2)?;
        let along = whitened.broadcast_mul(&(&g * &whitened)?.mean_keepdim(2)?)?;
        let dx = (g.broadcast_sub(&g.mean_keepdim(2)?)? - along)?.broadcast_mul(&inverse)?;
        Ok(dx.reshape(dy.dims())?)
    }

    fn vjp_params(&self, at: &Site, _: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        let dy = dy.flatten_from(2)?;
        let by_channel = |t: &Tensor| -> Result<Tensor> { Ok(t.sum(2)?.sum(0)?) };
        Ok(vec![by_channel(&(&dy * &self.whitened(at.x(0)?)?.0)?)?, by_channel(&dy)?])
    }
}

/// `x / (k + α/n Σ x²)^β` over `n` neighbouring channels (Krizhevsky et al. 2012); PyTorch's `LocalResponseNorm`.
#[derive(Debug)]
pub struct Lrn {
    /// Channels in a neighbourhood, `n`.
    pub size: usize,
    /// `α`.
    pub alpha: f64,
    /// `β`.
    pub beta: f64,
    /// `k`.
    pub k: f64,
}

impl Lrn {
    /// The sum over the neighbourhood of each channel, `before` channels below it and the rest above.
    fn neighbours(&self, x: &Tensor, before: usize) -> Result<Tensor> {
        let channels = x.dim(1)?;
        let padded = x.pad_with_zeros(1, before, self.size - 1 - before)?;
        let mut sum = padded.narrow(1, 0, channels)?;
        for shift in 1..self.size {
            sum = (sum + padded.narrow(1, shift, channels)?)?;
        }
        Ok(sum)
    }

    /// `k + α/n Σ x²`.
    fn base(&self, x: &Tensor) -> Result<Tensor> {
        let sum = self.neighbours(&x.sqr()?, self.size / 2)?;
        Ok(((sum * (self.alpha / self.size as f64))? + self.k)?)
    }
}

impl Op for Lrn {
    fn kind(&self) -> &'static str {
        "lrn"
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(self.size > 0, "a neighbourhood needs 1 channel or more");
        Ok(maps(x)?.to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok((x[0] * self.base(x[0])?.powf(-self.beta)?)?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let (x, base) = (at.x(0)?, self.base(at.x(0)?)?);
        let direct = (dy * base.powf(-self.beta)?)?;
        let shared = ((dy * x)? * base.powf(-self.beta - 1.0)?)?;
        let from = self.neighbours(&shared, self.size - 1 - self.size / 2)?;
        let factor = 2.0 * self.beta * self.alpha / self.size as f64;
        Ok((direct - ((x * from)? * factor)?)?)
    }
}
