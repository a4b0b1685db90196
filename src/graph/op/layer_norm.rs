//! Layer normalization.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Pattern, Saved, affine_params};
use crate::backend::RowNorm;
use crate::graph::Parameter;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// `γ (x − mean) / √(var + ε) + β` over the last dimensions (Ba et al. 2016, arXiv:1607.06450); PyTorch's `LayerNorm`.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// Sizes of the last dimensions, over which values are normalized.
    pub normalized_shape: Vec<usize>,
    /// ε, added to the variance.
    pub epsilon: f64,
    /// Whether the norm has γ and, unless `bias` is false, β.
    pub affine: bool,
    /// Whether the norm has β in addition to γ.
    pub bias: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "layer_norm",
    family: Family::Norm,
    torch: "LayerNorm",
    note: "over the last dimension, or those of `normalized_shape`",
    onnx: &["LayerNormalization"],
    aten: &["layer_norm.default", "native_layer_norm.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[
        Argument::optional("normalized_shape"),
        Argument::float("eps", 1e-5).or(&["epsilon"]),
        Argument::bool("elementwise_affine", true),
        Argument::bool("bias", true),
    ],
    build: |a, x| {
        let last = x[0].last().copied().unwrap_or(0);
        let normalized_shape = if a.has("normalized_shape") { a.sizes("normalized_shape")? } else { vec![last] };
        let (epsilon, affine, bias) = (a.float("eps")?, a.bool("elementwise_affine")?, a.bool("bias")?);
        Ok(Arc::new(LayerNorm { normalized_shape, epsilon, affine, bias }))
    },
    from_shapes: None,
    relevance: DefaultRule::Normalize,
    draw: |d| {
        let shape = [d.between(1, 3), d.between(1, 4), d.between(2, 5), d.between(4, 7)];
        let dims = d.between(1, 2);
        let normalized_shape = shape[4 - dims..].to_vec();
        Case::new(LayerNorm { normalized_shape, epsilon: 1e-5, affine: d.coin(), bias: d.coin() }, &[&shape])
    },
};

impl LayerNorm {
    fn norm(&self) -> RowNorm {
        RowNorm { columns: self.normalized_shape.iter().product(), centered: true, epsilon: self.epsilon }
    }
}

impl Op for LayerNorm {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::RowNorm(self.norm().engine())
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let fits = x[0].len() > self.normalized_shape.len() && x[0].ends_with(&self.normalized_shape);
        ensure!(
            fits && !self.normalized_shape.is_empty(),
            "expected a shape that ends with {:?}, got {:?}",
            self.normalized_shape,
            x[0]
        );
        Ok(x[0].to_vec())
    }

    fn params(&self) -> Vec<Parameter> {
        affine_params(&self.normalized_shape, self.affine, self.bias)
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
        let all = self.norm().vjp_params(at.x(0)?, dy)?;
        all.iter().take(w.len()).map(|t| Ok(t.reshape(self.normalized_shape.as_slice())?)).collect()
    }
}
