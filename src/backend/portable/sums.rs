//! Reductions to a single value, copied back to the host.

use crate::backend::Shares;
use crate::tensor::{stabilize, wide};
use anyhow::Result;
use candle_core::{DType, Tensor};

/// The sum of all elements, computed in f64.
pub fn sum(x: &Tensor) -> Result<f64> {
    if x.elem_count() == 0 {
        return Ok(0.0);
    }
    Ok(wide(x)?.sum_all()?.to_scalar()?)
}

/// The quotient `s = r / (z + ε sign z)`, and the relevance absorbed by the bias, by the stabilizer, and where `z` is 0.
pub fn lrp_divide(r: &Tensor, z: &Tensor, bias: Option<&Tensor>, epsilon: f64) -> Result<Shares> {
    let s = (r / stabilize(z, epsilon)?)?;
    let at = |mask: Tensor| -> Result<f64> { sum(&(&s * mask.to_dtype(s.dtype())?)?) };
    let bias = bias.map_or(Ok(0.0), |b| {
        let mut shape = vec![1; s.rank()];
        shape[1] = b.elem_count();
        sum(&s.broadcast_mul(&b.reshape(shape)?)?)
    })?;
    let stabilizer = epsilon * (at(z.gt(0.0)?)? - at(z.lt(0.0)?)?);
    let missing = epsilon * at(z.eq(0.0)?)?;
    Ok(Shares { s, bias, stabilizer, missing })
}

/// Whether every element is 0.
pub fn is_zero(x: &Tensor) -> Result<bool> {
    Ok(sum(&x.ne(0.0)?.to_dtype(DType::F32)?)? == 0.0)
}

/// Whether no element is negative.
pub fn is_nonnegative(x: &Tensor) -> Result<bool> {
    Ok(sum(&x.ge(0.0)?.to_dtype(DType::F32)?)? == x.elem_count() as f64)
}
