//! Multithreaded elementwise passes.

use super::elementwise::{map, zip};
use crate::backend::broadcast::check_channels;
use crate::backend::storage::{Real, by_type, read, tensor};
use anyhow::Result;
use candle_core::Tensor;
use rayon::prelude::*;

/// Number of elements per task.
const GRAIN: usize = 16 * 1024;

/// `max(0, x)`, elementwise. Propagates NaN.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    map(x, |v| if v < 0.0 { 0.0 } else { v }, |v| if v < 0.0 { 0.0 } else { v })
}

/// The VJP of [`relu`]: `dy` where `x` is positive, else 0.
pub fn relu_vjp(dy: &Tensor, x: &Tensor) -> Result<Tensor> {
    zip(dy, x, |d, x| if x > 0.0 { d } else { 0.0 }, |d, x| if x > 0.0 { d } else { 0.0 })
}

/// `scale[c] · x + shift[c]` for each channel `c` of `(N, C, …)`.
pub fn channel_affine(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    check_channels(x, scale, shift)?;
    by_type!(x, affine(x, scale, shift))
}

fn affine<T: Real>(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let dims = x.dims();
    let size: usize = dims[2..].iter().product();
    let y = read::<T, _>(x, |x| {
        read::<T, _>(scale, |scale| {
            read::<T, _>(shift, |shift| {
                let mut y = vec![T::zero(); x.len()];
                let maps = y.par_chunks_mut(size.max(1)).zip(x.par_chunks(size.max(1))).enumerate();
                maps.with_min_len(1 + GRAIN / size.max(1)).for_each(|(i, (y, x))| {
                    let (a, b) = (scale[i % scale.len()], shift[i % shift.len()]);
                    y.iter_mut().zip(x).for_each(|(y, &x)| *y = a * x + b);
                });
                Ok(y)
            })
        })
    })?;
    tensor(y, dims)
}

/// `γ (x − μ) / √(σ² + ε) + β` for each channel of `(N, C, …)`; the parameters are `[γ, β, μ, σ²]`.
pub fn batch_norm(x: &Tensor, [gamma, beta, mean, variance]: [&Tensor; 4], epsilon: f64) -> Result<Tensor> {
    let scale = (gamma * (variance + epsilon)?.sqrt()?.recip()?)?;
    channel_affine(x, &scale, &(beta - (mean * &scale)?)?)
}

/// The VJP of [`batch_norm`] with respect to `x`: `γ dy / √(σ² + ε)`.
pub fn batch_norm_vjp(dy: &Tensor, gamma: &Tensor, variance: &Tensor, epsilon: f64) -> Result<Tensor> {
    channel_affine(dy, &(gamma * (variance + epsilon)?.sqrt()?.recip()?)?, &gamma.zeros_like()?)
}
