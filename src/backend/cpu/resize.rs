//! Resizing feature maps: PyTorch's `interpolate`, including its antialiased mode.

use crate::backend::storage::{Real, by_type, read, tensor};
use crate::backend::taps::{Resize, Tap, taps};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use rayon::prelude::*;

/// Resizes `(N, C, H, W)` to `(N, C, h, w)`; PyTorch's `interpolate`.
pub fn interpolate(x: &Tensor, (h, w): (usize, usize), mode: Resize) -> Result<Tensor> {
    let dims = x.dims4()?;
    ensure!(h > 0 && w > 0 && dims.2 > 0 && dims.3 > 0, "cannot resize {:?} to {h}x{w}", x.dims());
    let (rows, columns) = (taps(dims.2, h, mode), taps(dims.3, w, mode));
    let narrow = by_type!(x, along_width(x, &columns))?;
    by_type!(narrow, along_height(&narrow, &rows))
}

/// The VJP of [`interpolate`] for an `x` of height `h` and width `w`.
pub fn interpolate_vjp(dy: &Tensor, (h, w): (usize, usize), mode: Resize) -> Result<Tensor> {
    let (_, _, oh, ow) = dy.dims4()?;
    let rows = transposed(&taps(h, oh, mode), h);
    let columns = transposed(&taps(w, ow, mode), w);
    let tall = by_type!(dy, along_height(dy, &rows))?;
    by_type!(tall, along_width(&tall, &columns))
}

fn transposed(taps: &[Tap], size: usize) -> Vec<Tap> {
    let mut rows: Vec<Vec<(usize, f64)>> = vec![vec![]; size];
    for (i, tap) in taps.iter().enumerate() {
        tap.weights.iter().enumerate().for_each(|(k, &w)| rows[tap.first + k].push((i, w)));
    }
    rows.into_iter()
        .map(|entries| {
            let first = entries.first().map_or(0, |e| e.0);
            let end = entries.last().map_or(0, |e| e.0 + 1);
            let mut weights = vec![0.0; end - first];
            entries.into_iter().for_each(|(i, w)| weights[i - first] = w);
            Tap { first, weights }
        })
        .collect()
}

fn along_width<T: Real>(x: &Tensor, taps: &[Tap]) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let mut y = vec![T::zero(); n * c * h * taps.len()];
    read::<T, _>(x, |x| {
        y.par_chunks_exact_mut(taps.len()).zip(x.par_chunks_exact(w)).with_min_len(16).for_each(|(y, x)| {
            for (y, tap) in y.iter_mut().zip(taps) {
                let sum = tap.weights.iter().zip(&x[tap.first..]).map(|(&a, &v)| a * v.to_f64());
                *y = T::from_f64(sum.sum());
            }
        });
        Ok(())
    })?;
    tensor(y, &[n, c, h, taps.len()])
}

fn along_height<T: Real>(x: &Tensor, taps: &[Tap]) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let mut y = vec![T::zero(); n * c * taps.len() * w];
    read::<T, _>(x, |x| {
        y.par_chunks_exact_mut(w).enumerate().with_min_len(16).for_each(|(row, y)| {
            let (map, tap) = (row / taps.len(), &taps[row % taps.len()]);
            let mut sums = vec![0.0; w];
            for (k, &a) in tap.weights.iter().enumerate() {
                let line = &x[(map * h + tap.first + k) * w..][..w];
                sums.iter_mut().zip(line).for_each(|(s, &v)| *s += a * v.to_f64());
            }
            y.iter_mut().zip(sums).for_each(|(y, s)| *y = T::from_f64(s));
        });
        Ok(())
    })?;
    tensor(y, &[n, c, taps.len(), w])
}
