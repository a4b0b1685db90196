//! Root mean square normalization.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::whitened::{Scaled, affine_params, weigh};
use super::{Op, Saved};
use crate::graph::Parameter;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// `γ x / √(mean(x²) + ε)` over the last dimension (Zhang & Sennrich 2019, arXiv:1910.07467); PyTorch's `RMSNorm`.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    /// Size of the last dimension.
    pub features: usize,
    /// ε, added to the mean square.
    pub epsilon: f64,
    /// Whether the norm has γ.
    pub affine: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "rms_norm",
    family: Family::Norm,
    torch: "RMSNorm",
    note: "over the last dimension",
    onnx: &["RMSNormalization"],
    aten: &["rms_norm.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::float("eps", 1e-6).or(&["epsilon"]), Argument::bool("elementwise_affine", true)],
    build: |a, x| {
        let features = x[0].last().copied().unwrap_or(0);
        Ok(Arc::new(RmsNorm { features, epsilon: a.float("eps")?, affine: a.bool("elementwise_affine")? }))
    },
    from_shapes: None,
    relevance: DefaultRule::Normalize,
    draw: |d| {
        let shape = [d.between(1, 3), d.between(1, 4), d.between(2, 6)];
        Case::new(RmsNorm { features: shape[2], epsilon: 1e-6, affine: d.coin() }, &[&shape])
    },
};

impl RmsNorm {
    fn rows(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.contiguous()?.reshape(((), self.features))?)
    }
}

impl Op for RmsNorm {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(
            x[0].len() > 1 && x[0].last() == Some(&self.features),
            "expected a shape that ends with {}, got {:?}",
            self.features,
            x[0]
        );
        Ok(x[0].to_vec())
    }

    fn params(&self) -> Vec<Parameter> {
        affine_params(&[self.features], self.affine, false)
    }

    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor> {
        weigh(&Scaled::of(&self.rows(x[0])?, self.epsilon)?.y.reshape(x[0].dims())?, w)
    }

    fn vjp(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let scaled = Scaled::of(&self.rows(at.x(0)?)?, self.epsilon)?;
        Ok(scaled.vjp(&self.rows(&weigh(dy, w)?)?)?.reshape(at.dims(0)?)?)
    }

    fn vjp_detached(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor) -> Result<Tensor> {
        let scaled = Scaled::of(&self.rows(at.x(0)?)?, self.epsilon)?;
        Ok(scaled.vjp_detached(&self.rows(&weigh(dy, w)?)?)?.reshape(at.dims(0)?)?)
    }

    fn vjp_params(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        let scaled = Scaled::of(&self.rows(at.x(0)?)?, self.epsilon)?;
        w.iter().map(|_| Ok((self.rows(dy)? * &scaled.y)?.sum(0)?)).collect()
    }
}
