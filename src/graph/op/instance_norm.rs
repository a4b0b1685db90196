//! Instance normalization.

use super::argument::Argument;
use super::channels;
use super::spec::{Family, Inputs, OpSpec, Relevance};
use super::{Case, Op, Saved, maps, trained};
use crate::graph::Parameter;
use crate::kernel::channel_affine;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// `γ (x − μ) / √(σ² + ε) + β` with the mean and the biased variance of each picture's each channel; PyTorch's
/// `InstanceNorm2d(affine=True)` (Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022).
#[derive(Debug)]
pub struct InstanceNorm {
    /// Channels.
    pub channels: usize,
    /// Added to the variance.
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
    relevance: Relevance::Gradient,
    draw: |d| {
        let map = d.map();
        Case::new(InstanceNorm { channels: map[1], epsilon: 1e-3 }, &[&map])
    },
};

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
    fn spec(&self) -> &'static OpSpec {
        &SPEC
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

    fn vjp(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let (whitened, inverse) = self.whitened(at.x(0)?)?;
        let g = channel_affine(dy, &w[0], &w[1].zeros_like()?)?.flatten_from(2)?;
        let along = whitened.broadcast_mul(&(&g * &whitened)?.mean_keepdim(2)?)?;
        let dx = (g.broadcast_sub(&g.mean_keepdim(2)?)? - along)?.broadcast_mul(&inverse)?;
        Ok(dx.reshape(dy.dims())?)
    }

    fn vjp_params(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        let dy = dy.flatten_from(2)?;
        let by_channel = |t: &Tensor| -> Result<Tensor> { Ok(t.sum(2)?.sum(0)?) };
        Ok(vec![by_channel(&(&dy * &self.whitened(at.x(0)?)?.0)?)?, by_channel(&dy)?])
    }
}
