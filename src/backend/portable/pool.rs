//! Max pooling as a running maximum over the taps, computed for all windows at once.

use super::shift::{apart, every, window};
use crate::backend::Pool2d;
#[cfg(feature = "cudnn")]
use crate::backend::cuda;
use crate::backend::window::pool_sizes;
use anyhow::Result;
use candle_core::{DType, Tensor};

/// The maximum of each window and the index of the tap that reads it (the first in a tie). NaN counts as the maximum.
fn greatest(x: &Tensor, pool: &Pool2d) -> Result<(Tensor, Tensor)> {
    let [.., oh, ow] = pool_sizes(x.dims(), pool)?;
    let x = frame(x, pool, (oh, ow), f64::NEG_INFINITY)?;
    let mut best = seen(&x, pool, 0, (oh, ow))?;
    let mut tap = Tensor::zeros(best.shape(), DType::U32, x.device())?;
    for t in 1..pool.h.kernel * pool.w.kernel {
        let v = seen(&x, pool, t, (oh, ow))?;
        // True where `v` is greater than `best` or NaN, and `best` is not NaN.
        let better = best.eq(&best)?.gt(&v.le(&best)?)?;
        tap = better.where_cond(&Tensor::full(t as u32, tap.shape(), x.device())?, &tap)?;
        best = better.where_cond(&v, &best)?;
    }
    Ok((best, tap))
}

/// The maximum of each window, `(N, C, oh, ow)`; PyTorch's `max_pool2d`.
pub fn max_pool2d(x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
    #[cfg(feature = "cudnn")]
    if cuda::serves(x) {
        return cuda::max_pool2d(x, pool);
    }
    let [n, c, _, _, oh, ow] = pool_sizes(x.dims(), pool)?;
    match n * c {
        0 => Ok(Tensor::zeros((n, c, oh, ow), x.dtype(), x.device())?),
        _ => Ok(greatest(x, pool)?.0),
    }
}

/// The VJP of [`max_pool2d`]: each tap receives the gradients of the windows whose maximum it reads.
pub fn max_pool2d_vjp(dy: &Tensor, x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
    #[cfg(feature = "cudnn")]
    if cuda::serves(x) {
        return cuda::max_pool2d_vjp(dy, x, pool);
    }
    let [n, c, h, w, oh, ow] = pool_sizes(x.dims(), pool)?;
    if n * c == 0 {
        return Ok(x.zeros_like()?);
    }
    let (_, best) = greatest(x, pool)?;
    let frame = frame(x, pool, (oh, ow), 0.0)?;
    let (tall, wide) = (frame.dims()[2], frame.dims()[3]);
    let mut dx = frame.zeros_like()?;
    for t in 0..pool.h.kernel * pool.w.kernel {
        let own = best.eq(t as u32)?.where_cond(dy, &dy.zeros_like()?)?;
        let own = apart(&apart(&own, 2, pool.h.stride)?, 3, pool.w.stride)?;
        let [a, b] = place(pool, t).map(|p| -(p as isize));
        dx = (dx + window(&window(&own, 2, a, tall, 0.0)?, 3, b, wide, 0.0)?)?;
    }
    inside(&dx, pool, (h, w))
}

/// The part of `x` that the windows cover, extended to a multiple of the stride, with `fill` outside `x`.
fn frame(x: &Tensor, pool: &Pool2d, (oh, ow): (usize, usize), fill: f64) -> Result<Tensor> {
    let (tall, wide) = (
        oh * pool.h.stride + (pool.h.kernel - 1) * pool.h.dilation,
        ow * pool.w.stride + (pool.w.kernel - 1) * pool.w.dilation,
    );
    let rows = window(x, 2, -(pool.h.padding as isize), tall, fill)?;
    window(&rows, 3, -(pool.w.padding as isize), wide, fill)
}

/// The feature map of height `h` and width `w` inside a frame; the inverse of [`frame`].
fn inside(frame: &Tensor, pool: &Pool2d, (h, w): (usize, usize)) -> Result<Tensor> {
    let rows = window(frame, 2, pool.h.padding as isize, h, 0.0)?;
    Ok(window(&rows, 3, pool.w.padding as isize, w, 0.0)?.contiguous()?)
}

/// The row and column of a frame that tap `t` of the first window reads.
fn place(pool: &Pool2d, t: usize) -> [usize; 2] {
    [t / pool.w.kernel * pool.h.dilation, t % pool.w.kernel * pool.w.dilation]
}

/// The elements of a frame that tap `t` of each window reads.
fn seen(frame: &Tensor, pool: &Pool2d, t: usize, (oh, ow): (usize, usize)) -> Result<Tensor> {
    let [a, b] = place(pool, t);
    let rows = every(frame, 2, a, pool.h.stride, oh)?;
    Ok(every(&rows, 3, b, pool.w.stride, ow)?.contiguous()?)
}
