//! Convolution with standardized weights.

use super::{Conv, Op, OpSpec, Pattern, Saved};
use crate::backend::{Accumulation, RowNorm};
use crate::graph::Parameter;
use anyhow::{Context, Result};
use candle_core::Tensor;
use std::sync::Arc;

/// `y = x ∗ ŵ + b` with `ŵ = (w − mean) / √(var + ε)` over each output channel's weights (Qiao et al. 2019, arXiv:1903.10520);
/// timm's `StdConv2d`.
#[derive(Clone, Copy, Debug)]
pub struct StdConv {
    /// The convolution with the standardized weight.
    pub conv: Conv,
    /// The ε of the standardization.
    pub epsilon: f64,
}

impl StdConv {
    /// The norm of the weights of an output channel.
    fn norm(&self, weight: &Tensor) -> RowNorm {
        RowNorm { columns: weight.dims()[1..].iter().product(), centered: true, epsilon: self.epsilon }
    }
}

impl Op for StdConv {
    fn spec(&self) -> &'static OpSpec {
        self.conv.spec()
    }

    fn effective(&self, stored: &[Tensor]) -> Result<Vec<Tensor>> {
        let (weight, bias) = stored.split_first().context("the layer has no parameter \"weight\"")?;
        let standardized = self.norm(weight).forward(weight, &[])?;
        Ok(std::iter::once(standardized).chain(bias.iter().cloned()).collect())
    }

    fn effective_vjp(&self, stored: &[Tensor], mut dw: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let weight = stored.first().context("the layer has no parameter \"weight\"")?;
        if let Some(first) = dw.first_mut() {
            *first = self.norm(weight).vjp(weight, &[], first, false)?;
        }
        Ok(dw)
    }

    fn pattern(&self, x: &[usize]) -> Pattern {
        self.conv.pattern(x)
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        self.conv.shape(x)
    }

    fn params(&self) -> Vec<Parameter> {
        self.conv.params()
    }

    fn accumulation(&self) -> Option<Accumulation> {
        self.conv.accumulation()
    }

    fn with_accumulation(&self, accumulation: Accumulation) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { conv: self.conv.accumulated(accumulation), ..*self }))
    }

    fn with_bias(&self) -> Option<Arc<dyn Op>> {
        self.conv.with_bias()
    }

    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor> {
        self.conv.forward(x, w)
    }

    fn vjp(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor> {
        self.conv.vjp(at, w, dy, i)
    }

    fn vjp_params(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor) -> Result<Vec<Tensor>> {
        self.conv.vjp_params(at, w, dy)
    }
}
