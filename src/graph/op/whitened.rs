//! Helpers of normalizations: rows of mean 0 and variance 1, or of mean square 1.

use super::operation::trained;
use crate::graph::parameter::Parameter;
use anyhow::Result;
use candle_core::{D, Tensor};

/// `(x − mean) / √(var + ε)` of each row.
pub(super) struct Whitened {
    /// The normalized rows.
    pub y: Tensor,
    /// `1 / √(var + ε)`, `(rows, 1)`.
    inverse: Tensor,
}

impl Whitened {
    /// Normalizes rows `(rows, elements)`.
    pub fn of(x: &Tensor, epsilon: f64) -> Result<Self> {
        let centered = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let inverse = (centered.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?.recip()?;
        Ok(Self { y: centered.broadcast_mul(&inverse)?, inverse })
    }

    /// `(dy − mean(dy) − y mean(dy y)) / √(var + ε)`.
    pub fn vjp(&self, dy: &Tensor) -> Result<Tensor> {
        let along = (dy * &self.y)?.mean_keepdim(D::Minus1)?;
        let rest = dy.broadcast_sub(&dy.mean_keepdim(D::Minus1)?)?.sub(&self.y.broadcast_mul(&along)?)?;
        Ok(rest.broadcast_mul(&self.inverse)?)
    }
}

/// `x / √(mean(x²) + ε)` of each row.
pub(super) struct Scaled {
    /// The normalized rows.
    pub y: Tensor,
    /// `1 / √(mean(x²) + ε)`, `(rows, 1)`.
    inverse: Tensor,
}

impl Scaled {
    /// Normalizes rows `(rows, elements)`.
    pub fn of(x: &Tensor, epsilon: f64) -> Result<Self> {
        let inverse = (x.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?.recip()?;
        Ok(Self { y: x.broadcast_mul(&inverse)?, inverse })
    }

    /// `(dy − y mean(dy y)) / √(mean(x²) + ε)`.
    pub fn vjp(&self, dy: &Tensor) -> Result<Tensor> {
        let along = (dy * &self.y)?.mean_keepdim(D::Minus1)?;
        Ok(dy.sub(&self.y.broadcast_mul(&along)?)?.broadcast_mul(&self.inverse)?)
    }
}

/// `weight` and `bias` of this shape, those that exist.
pub(super) fn affine_params(shape: &[usize], affine: bool, bias: bool) -> Vec<Parameter> {
    let names = ["weight", "bias"].into_iter().take(usize::from(affine) + usize::from(affine && bias));
    names.map(|name| trained(name, shape)).collect()
}

/// `γ y + β` over the last dimensions.
pub(super) fn affine(y: &Tensor, w: &[Tensor]) -> Result<Tensor> {
    let y = weigh(y, w)?;
    Ok(match w.get(1) {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    })
}

/// `γ y`.
pub(super) fn weigh(y: &Tensor, w: &[Tensor]) -> Result<Tensor> {
    Ok(match w.first() {
        Some(weight) => y.broadcast_mul(weight)?,
        None => y.clone(),
    })
}
