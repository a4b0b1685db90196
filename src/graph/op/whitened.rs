//! Helpers for normalizations: rows with mean 0 and variance 1.

use super::operation::trained;
use crate::graph::parameter::Parameter;
use anyhow::Result;
use candle_core::{D, Tensor};

/// Rows normalized to `(x − mean) / √(var + ε)`.
pub(super) struct Whitened {
    /// The normalized rows, `(rows, elements)`.
    pub y: Tensor,
    /// `1 / √(var + ε)` of each row, `(rows, 1)`.
    inverse: Tensor,
}

impl Whitened {
    /// Normalizes each row of `x`, `(rows, elements)`.
    pub fn of(x: &Tensor, epsilon: f64) -> Result<Self> {
        let centered = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let inverse = (centered.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?.recip()?;
        Ok(Self { y: centered.broadcast_mul(&inverse)?, inverse })
    }

    /// The VJP of the normalization with the standard deviation held constant, `(dy − mean(dy)) / √(var + ε)`.
    pub fn vjp_detached(&self, dy: &Tensor) -> Result<Tensor> {
        Ok(dy.broadcast_sub(&dy.mean_keepdim(D::Minus1)?)?.broadcast_mul(&self.inverse)?)
    }

    /// The VJP of the normalization, `(dy − mean(dy) − y mean(dy y)) / √(var + ε)`.
    pub fn vjp(&self, dy: &Tensor) -> Result<Tensor> {
        let along = (dy * &self.y)?.mean_keepdim(D::Minus1)?;
        let rest = dy.broadcast_sub(&dy.mean_keepdim(D::Minus1)?)?.sub(&self.y.broadcast_mul(&along)?)?;
        Ok(rest.broadcast_mul(&self.inverse)?)
    }
}

/// The parameters of a norm, of shape `shape`: `weight` if `affine`, and `bias` if both `affine` and `bias`.
pub(super) fn affine_params(shape: &[usize], affine: bool, bias: bool) -> Vec<Parameter> {
    let names = ["weight", "bias"].into_iter().take(usize::from(affine) + usize::from(affine && bias));
    names.map(|name| trained(name, shape)).collect()
}
