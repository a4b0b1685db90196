//! Elementwise passes implemented with candle's operations.

use crate::backend::broadcast::check_channels;
#[cfg(feature = "cudnn")]
use crate::backend::cuda;
use anyhow::{Result, ensure};
use candle_core::Tensor;

/// `max(0, x)`, elementwise. Propagates NaN.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cudnn")]
    if cuda::serves(x) {
        return cuda::relu(x);
    }
    Ok(x.lt(0.0)?.where_cond(&x.zeros_like()?, x)?)
}

/// The VJP of [`relu`]: `dy` where `x` is positive, else 0.
pub fn relu_vjp(dy: &Tensor, x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cudnn")]
    if cuda::serves(x) {
        return cuda::relu_vjp(dy, x);
    }
    ensure!(dy.dims() == x.dims(), "shapes {:?} and {:?} differ", dy.dims(), x.dims());
    Ok(x.gt(0.0)?.where_cond(dy, &dy.zeros_like()?)?)
}

/// `scale[c] · x + shift[c]` for each channel `c` of `(N, C, …)`.
pub fn channel_affine(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    check_channels(x, scale, shift)?;
    #[cfg(feature = "cudnn")]
    if cuda::serves(x) {
        return cuda::channel_affine(x, scale, shift);
    }
    let mut shape = vec![1; x.rank()];
    shape[1] = x.dims()[1];
    Ok(x.broadcast_mul(&scale.reshape(shape.as_slice())?)?.broadcast_add(&shift.reshape(shape)?)?)
}

/// `γ (x − μ) / √(σ² + ε) + β` for each channel of `(N, C, …)`; the parameters are `[γ, β, μ, σ²]`.
pub fn batch_norm(x: &Tensor, [gamma, beta, mean, variance]: [&Tensor; 4], epsilon: f64) -> Result<Tensor> {
    #[cfg(feature = "cudnn")]
    if cuda::serves(x) {
        return cuda::batch_norm(x, gamma, variance, epsilon, Some((beta, mean)));
    }
    let scale = (gamma * (variance + epsilon)?.sqrt()?.recip()?)?;
    channel_affine(x, &scale, &(beta - (mean * &scale)?)?)
}

/// The VJP of [`batch_norm`] with respect to `x`: `γ dy / √(σ² + ε)`.
pub fn batch_norm_vjp(dy: &Tensor, gamma: &Tensor, variance: &Tensor, epsilon: f64) -> Result<Tensor> {
    #[cfg(feature = "cudnn")]
    if cuda::serves(dy) {
        return cuda::batch_norm(dy, gamma, variance, epsilon, None);
    }
    channel_affine(dy, &(gamma * (variance + epsilon)?.sqrt()?.recip()?)?, &gamma.zeros_like()?)
}
