//! Helpers for normalizations: rows with mean 0 and variance 1, or with mean square 1.

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

/// Rows scaled to `x / √(mean(x²) + ε)`.
pub(super) struct Scaled {
    /// The scaled rows, `(rows, elements)`.
    pub y: Tensor,
    /// `1 / √(mean(x²) + ε)` of each row, `(rows, 1)`.
    inverse: Tensor,
}

impl Scaled {
    /// Scales each row of `x`, `(rows, elements)`.
    pub fn of(x: &Tensor, epsilon: f64) -> Result<Self> {
        let inverse = (x.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?.recip()?;
        Ok(Self { y: x.broadcast_mul(&inverse)?, inverse })
    }

    /// The VJP of the scaling with the root mean square held constant, `dy / √(mean(x²) + ε)`.
    pub fn vjp_detached(&self, dy: &Tensor) -> Result<Tensor> {
        Ok(dy.broadcast_mul(&self.inverse)?)
    }

    /// The VJP of the scaling, `(dy − y mean(dy y)) / √(mean(x²) + ε)`.
    pub fn vjp(&self, dy: &Tensor) -> Result<Tensor> {
        let along = (dy * &self.y)?.mean_keepdim(D::Minus1)?;
        Ok(dy.sub(&self.y.broadcast_mul(&along)?)?.broadcast_mul(&self.inverse)?)
    }
}

/// The parameters of a norm, of shape `shape`: `weight` if `affine`, and `bias` if both `affine` and `bias`.
pub(super) fn affine_params(shape: &[usize], affine: bool, bias: bool) -> Vec<Parameter> {
    let names = ["weight", "bias"].into_iter().take(usize::from(affine) + usize::from(affine && bias));
    names.map(|name| trained(name, shape)).collect()
}

/// `γ y + β` over the last dimensions, where `w` is `[γ, β]`, `[γ]` or empty.
pub(super) fn affine(y: &Tensor, w: &[Tensor]) -> Result<Tensor> {
    let y = weigh(y, w)?;
    Ok(match w.get(1) {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    })
}

/// `γ y`, or `y` if `w` is empty.
pub(super) fn weigh(y: &Tensor, w: &[Tensor]) -> Result<Tensor> {
    Ok(match w.first() {
        Some(weight) => y.broadcast_mul(weight)?,
        None => y.clone(),
    })
}
