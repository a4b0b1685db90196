//! Sums over many numbers, of which one comes back.

use crate::tensor::wide;
use anyhow::Result;
use candle_core::{DType, Tensor};

/// The sum of all numbers, in f64.
pub fn sum(x: &Tensor) -> Result<f64> {
    if x.elem_count() == 0 {
        return Ok(0.0);
    }
    Ok(wide(x)?.sum_all()?.to_scalar()?)
}

/// `Σ ε s sign(z)` where `z` is not 0, and `Σ ε s` where it is.
pub fn kept_by_stabilizer(s: &Tensor, z: &Tensor, epsilon: f64) -> Result<(f64, f64)> {
    let at = |mask: Tensor| -> Result<f64> { sum(&(s * mask.to_dtype(s.dtype())?)?) };
    Ok((epsilon * (at(z.gt(0.0)?)? - at(z.lt(0.0)?)?), epsilon * at(z.eq(0.0)?)?))
}

/// `Σ b[c] s[n, c, …]`.
pub fn kept_by_bias(s: &Tensor, b: &Tensor) -> Result<f64> {
    let mut shape = vec![1; s.rank()];
    shape[1] = b.elem_count();
    sum(&s.broadcast_mul(&b.reshape(shape)?)?)
}

/// Whether every number is 0.
pub fn is_zero(x: &Tensor) -> Result<bool> {
    Ok(sum(&x.ne(0.0)?.to_dtype(DType::F32)?)? == 0.0)
}
