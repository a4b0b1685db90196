//! Root mean square normalization.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Pattern, Saved, affine_params};
use crate::backend::RowNorm;
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
    fn norm(&self) -> RowNorm {
        RowNorm { columns: self.features, centered: false, epsilon: self.epsilon }
    }
}

impl Op for RmsNorm {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::RowNorm(self.norm().engine())
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
        self.norm().forward(x[0], w)
    }

    fn vjp(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        self.norm().vjp(at.x(0)?, w, dy, false)
    }

    fn vjp_detached(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor) -> Result<Tensor> {
        self.norm().vjp(at.x(0)?, w, dy, true)
    }

    fn vjp_params(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        Ok(self.norm().vjp_params(at.x(0)?, dy)?.into_iter().take(w.len()).collect())
    }
}
