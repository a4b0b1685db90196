//! Sampling pictures at arbitrary positions: PyTorch's `affine_grid` and `grid_sample`.

use crate::backend::storage::{Real, by_type, read, tensor};
use crate::interrupt::InterruptProbe;
use crate::tensor::{like, numbers};
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use rayon::prelude::*;

/// Options of [`grid_sample`]: interpolation, padding and the meaning of the coordinates -1 and 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct GridSample {
    /// Whether to use nearest-neighbor instead of bilinear interpolation.
    pub nearest: bool,
    /// Whether positions outside the picture read the nearest border pixel instead of 0.
    pub border: bool,
    /// Whether -1 and 1 denote the centers of the outermost pixels instead of the picture's edges.
    pub align_corners: bool,
}

/// The positions `(N, H, W, 2)`, x before y, to which the affine transforms `theta`, `(N, 2, 3)`, map the pixels of an `(H, W)`
/// grid. In these coordinates, the picture spans -1 to 1.
pub fn affine_grid(theta: &Tensor, (h, w): (usize, usize), align_corners: bool) -> Result<Tensor> {
    let (n, rows, columns) = theta.dims3().context("theta must have shape (N, 2, 3)")?;
    ensure!(
        (rows, columns) == (2, 3) && h * w > 0,
        "theta must have shape (N, 2, 3), got {:?} for {h}x{w}",
        theta.dims()
    );
    let place = |i: usize, size: usize| match align_corners {
        true if size == 1 => 0.0,
        true => 2.0 * i as f64 / (size - 1) as f64 - 1.0,
        false => (2 * i + 1) as f64 / size as f64 - 1.0,
    };
    let maps = numbers(theta)?;
    let places = (0..h).flat_map(|y| (0..w).map(move |x| (place(x, w), place(y, h)))).collect::<Vec<_>>();
    let sent = |m: &[f64], (x, y): (f64, f64)| [m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5]];
    let grid: Vec<f64> = maps.chunks_exact(6).flat_map(|m| places.iter().flat_map(move |p| sent(m, *p))).collect();
    like(grid, (n, h, w, 2), theta)
}

/// Number of positions sampled between checks for cancellation.
const PART: usize = 1 << 16;

/// Samples `x`, `(N, C, H, W)`, at the positions of a grid `(N, h, w, 2)`. Returns `(N, C, h, w)`.
pub fn grid_sample(x: &Tensor, grid: &Tensor, how: GridSample) -> Result<Tensor> {
    let (n, c, h, w) =
        x.dims4().with_context(|| format!("grid_sample expects pictures of shape (N, C, H, W), got {:?}", x.dims()))?;
    let (m, oh, ow, two) =
        grid.dims4().with_context(|| format!("a grid must have shape (N, h, w, 2), got {:?}", grid.dims()))?;
    ensure!(
        n == m && two == 2,
        "a grid of shape {:?} does not match pictures of shape {:?}; expected (N, h, w, 2)",
        grid.dims(),
        x.dims()
    );
    ensure!(h * w > 0, "cannot sample pictures without pixels, got shape {:?}", x.dims());
    let places = numbers(grid)?;
    Ok(by_type!(x, sample(x, &places, how))?.reshape((n, c, oh, ow))?.to_device(x.device())?)
}

fn sample<T: Real>(x: &Tensor, grid: &[f64], how: GridSample) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let per = grid.len() / (2 * n.max(1));
    let place = |g: &[f64]| (pixel(g[1], h, how.align_corners), pixel(g[0], w, how.align_corners));
    let places: Vec<_> = grid.chunks_exact(2).map(place).collect();
    let mut y = vec![T::zero(); n * c * per];
    let look = InterruptProbe::here();
    read::<T, _>(x, |x| {
        y.par_chunks_exact_mut(per.max(1)).zip(x.par_chunks_exact(h * w)).enumerate().for_each(|(i, (y, x))| {
            let read = |p: &(f64, f64)| T::from_f64(at(x, *p, (h, w), how));
            for (y, places) in y.chunks_mut(PART).zip(places[i / c * per..].chunks(PART)) {
                look.pass();
                y.iter_mut().zip(places).for_each(|(y, p)| *y = read(p));
            }
        });
        Ok(())
    })?;
    tensor(y, &[n, c, per])
}

/// Converts a coordinate in `[-1, 1]` to pixel coordinates, where 0 is the center of the first pixel.
fn pixel(place: f64, size: usize, align_corners: bool) -> f64 {
    let size = size as f64;
    if align_corners { (place + 1.0) / 2.0 * (size - 1.0) } else { ((place + 1.0) * size - 1.0) / 2.0 }
}

/// The interpolated value of one `h × w` channel at a position in pixel coordinates.
fn at<T: Real>(plane: &[T], (y, x): (f64, f64), (h, w): (usize, usize), how: GridSample) -> f64 {
    let inside = |v: f64, size: usize| if how.border { v.clamp(0.0, size as f64 - 1.0) } else { v };
    let (y, x) = (inside(y, h), inside(x, w));
    let value = |y: f64, x: f64| {
        let there = (0.0..h as f64).contains(&y) && (0.0..w as f64).contains(&x);
        if there { plane[y as usize * w + x as usize].to_f64() } else { 0.0 }
    };
    if how.nearest {
        return value(y.round_ties_even(), x.round_ties_even());
    }
    let (top, left) = (y.floor(), x.floor());
    let (down, right) = (y - top, x - left);
    let upper = value(top, left) * (1.0 - right) + value(top, left + 1.0) * right;
    let lower = value(top + 1.0, left) * (1.0 - right) + value(top + 1.0, left + 1.0) * right;
    upper * (1.0 - down) + lower * down
}
