//! Passes over every number.

use anyhow::{Result, ensure};
use candle_core::Tensor;

/// `max(0, x)`; NaN stays.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    Ok(x.lt(0.0)?.where_cond(&x.zeros_like()?, x)?)
}

/// `dy` where `x` is positive, else 0.
pub fn relu_vjp(dy: &Tensor, x: &Tensor) -> Result<Tensor> {
    ensure!(dy.dims() == x.dims(), "shapes {:?} and {:?} differ", dy.dims(), x.dims());
    Ok(x.gt(0.0)?.where_cond(dy, &dy.zeros_like()?)?)
}

/// `scale[c] · x + shift[c]` for each channel `c` of `(N, C, …)`.
pub fn channel_affine(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; x.rank()];
    shape[1] = x.dims()[1];
    Ok(x.broadcast_mul(&scale.reshape(shape.as_slice())?)?.broadcast_add(&shift.reshape(shape)?)?)
}
