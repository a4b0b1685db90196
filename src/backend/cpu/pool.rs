//! Max and average pooling with arbitrary kernel size, stride, padding and dilation.

use crate::backend::storage::{Real, by_type, read, tensor};
use crate::backend::window::{Pool2d, divisor, pool_sizes};
use anyhow::Result;
use candle_core::Tensor;
use rayon::prelude::*;

/// The maximum of each window, `(N, C, oh, ow)`; −∞ for windows that lie entirely outside the feature map. PyTorch's
/// `max_pool2d`.
pub fn max_pool2d(x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
    by_type!(x, max_forward(x, pool))
}

/// The VJP of [`max_pool2d`]: each window's gradient is routed to its maximum (in a tie, the first in row-major order).
pub fn max_pool2d_vjp(dy: &Tensor, x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
    by_type!(x, max_vjp(dy, x, pool))
}

/// The mean of each window, `(N, C, oh, ow)`; padding counts as zeros if `include_pad`. PyTorch's `avg_pool2d`.
pub fn avg_pool2d(x: &Tensor, pool: &Pool2d, include_pad: bool) -> Result<Tensor> {
    by_type!(x, avg_forward(x, pool, include_pad))
}

/// The VJP of [`avg_pool2d`] for an `x` of shape `input`.
pub fn avg_pool2d_vjp(dy: &Tensor, input: &[usize], pool: &Pool2d, include_pad: bool) -> Result<Tensor> {
    by_type!(dy, avg_vjp(dy, input, pool, include_pad))
}

/// Calls `f` with each feature map of `x` and the corresponding one of `out`, on all cores.
fn each_map<T: Real>(x: &[T], size: usize, out: &mut [T], out_size: usize, f: impl Fn(&[T], &mut [T]) + Sync) {
    if size == 0 || out_size == 0 {
        return;
    }
    let maps = x.par_chunks_exact(size).zip(out.par_chunks_exact_mut(out_size));
    maps.with_min_len(1 + 4096 / size).for_each(|(x, out)| f(x, out));
}

/// The index in its feature map of the maximum of window `(i, j)`; `None` if the window lies entirely outside the feature map.
/// NaN counts as the maximum, as in PyTorch.
#[inline]
fn best<T: Real>(x: &[T], (h, w): (usize, usize), pool: &Pool2d, (i, j): (usize, usize)) -> Option<usize> {
    let mut best: Option<usize> = None;
    for y in (0..pool.h.kernel).filter_map(|t| pool.h.at(i, t, h)) {
        for place in (0..pool.w.kernel).filter_map(|t| pool.w.at(j, t, w)).map(|column| y * w + column) {
            let (v, greatest) = (x[place], best.map(|b| x[b]));
            if greatest.is_none_or(|g| v > g || (v.partial_cmp(&v).is_none() && g.partial_cmp(&g).is_some())) {
                best = Some(place);
            }
        }
    }
    best
}

fn max_forward<T: Real>(x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
    let [n, c, h, w, oh, ow] = pool_sizes(x.dims(), pool)?;
    let mut y = vec![T::zero(); n * c * oh * ow];
    read::<T, _>(x, |x| {
        each_map(x, h * w, &mut y, oh * ow, |x, y| {
            for (k, y) in y.iter_mut().enumerate() {
                *y = best(x, (h, w), pool, (k / ow, k % ow)).map_or(T::from_f64(f64::NEG_INFINITY), |place| x[place]);
            }
        });
        Ok(())
    })?;
    tensor(y, &[n, c, oh, ow])
}

fn max_vjp<T: Real>(dy: &Tensor, x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
    let [n, c, h, w, oh, ow] = pool_sizes(x.dims(), pool)?;
    let mut dx = vec![T::zero(); n * c * h * w];
    read::<T, _>(dy, |dy| {
        read::<T, _>(x, |x| {
            let maps = x.par_chunks_exact(h * w).zip(dy.par_chunks_exact(oh * ow));
            maps.zip(dx.par_chunks_exact_mut(h * w)).with_min_len(1 + 4096 / (h * w)).for_each(|((x, dy), dx)| {
                for (k, &dy) in dy.iter().enumerate() {
                    if let Some(place) = best(x, (h, w), pool, (k / ow, k % ow)) {
                        dx[place] += dy;
                    }
                }
            });
            Ok(())
        })
    })?;
    tensor(dx, x.dims())
}

fn avg_forward<T: Real>(x: &Tensor, pool: &Pool2d, include_pad: bool) -> Result<Tensor> {
    let [n, c, h, w, oh, ow] = pool_sizes(x.dims(), pool)?;
    let mut y = vec![T::zero(); n * c * oh * ow];
    read::<T, _>(x, |x| {
        each_map(x, h * w, &mut y, oh * ow, |x, y| {
            for (k, y) in y.iter_mut().enumerate() {
                let (i, j) = (k / ow, k % ow);
                for row in (0..pool.h.kernel).filter_map(|t| pool.h.at(i, t, h)) {
                    (0..pool.w.kernel).filter_map(|t| pool.w.at(j, t, w)).for_each(|column| *y += x[row * w + column]);
                }
                *y /= T::from_f64(divisor(pool, (h, w), (i, j), include_pad));
            }
        });
        Ok(())
    })?;
    tensor(y, &[n, c, oh, ow])
}

fn avg_vjp<T: Real>(dy: &Tensor, input: &[usize], pool: &Pool2d, include_pad: bool) -> Result<Tensor> {
    let [n, c, h, w, oh, ow] = pool_sizes(input, pool)?;
    let mut dx = vec![T::zero(); n * c * h * w];
    read::<T, _>(dy, |dy| {
        each_map(dy, oh * ow, &mut dx, h * w, |dy, dx| {
            for (k, &dy) in dy.iter().enumerate() {
                let (i, j) = (k / ow, k % ow);
                let share = dy / T::from_f64(divisor(pool, (h, w), (i, j), include_pad));
                for row in (0..pool.h.kernel).filter_map(|t| pool.h.at(i, t, h)) {
                    (0..pool.w.kernel)
                        .filter_map(|t| pool.w.at(j, t, w))
                        .for_each(|column| dx[row * w + column] += share);
                }
            }
        });
        Ok(())
    })?;
    tensor(dx, input)
}
