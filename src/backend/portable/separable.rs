//! Separable linear maps along height and width: average pooling, resizing, and their transposes.

use crate::backend::taps::{Resize, Tap, taps};
use crate::backend::window::{counted, pool_sizes};
use crate::backend::{Pool2d, Window};
use crate::tensor::like;
use anyhow::{Result, ensure};
use candle_core::Tensor;

/// A linear map along one axis, as a `(rows, columns)` matrix.
struct Matrix {
    rows: usize,
    columns: usize,
    numbers: Vec<f64>,
}

/// The mean of each window, `(N, C, oh, ow)`; padding counts as zeros if `include_pad`. PyTorch's `avg_pool2d`.
pub fn avg_pool2d(x: &Tensor, pool: &Pool2d, include_pad: bool) -> Result<Tensor> {
    let [_, _, h, w, oh, ow] = pool_sizes(x.dims(), pool)?;
    both(x, &means(&pool.h, h, oh, include_pad), &means(&pool.w, w, ow, include_pad))
}

/// The VJP of [`avg_pool2d`] for an `x` of shape `input`.
pub fn avg_pool2d_vjp(dy: &Tensor, input: &[usize], pool: &Pool2d, include_pad: bool) -> Result<Tensor> {
    let [_, _, h, w, oh, ow] = pool_sizes(input, pool)?;
    let (rows, columns) = (means(&pool.h, h, oh, include_pad), means(&pool.w, w, ow, include_pad));
    both(dy, &rows.transposed(), &columns.transposed())
}

/// Resizes `(N, C, H, W)` to `(N, C, h, w)`; PyTorch's `interpolate`.
pub fn interpolate(x: &Tensor, (h, w): (usize, usize), mode: Resize) -> Result<Tensor> {
    let (_, _, rows, columns) = x.dims4()?;
    ensure!(h > 0 && w > 0 && rows > 0 && columns > 0, "cannot resize {:?} to {h}x{w}", x.dims());
    both(x, &dense(&taps(rows, h, mode), rows), &dense(&taps(columns, w, mode), columns))
}

/// The VJP of [`interpolate`] for an `x` of height `h` and width `w`.
pub fn interpolate_vjp(dy: &Tensor, (h, w): (usize, usize), mode: Resize) -> Result<Tensor> {
    let (_, _, oh, ow) = dy.dims4()?;
    both(dy, &dense(&taps(h, oh, mode), h).transposed(), &dense(&taps(w, ow, mode), w).transposed())
}

/// Multiplies each feature map of `x` on both sides: `rows · x · columnsᵀ`.
fn both(x: &Tensor, rows: &Matrix, columns: &Matrix) -> Result<Tensor> {
    let wide = along_width(x, columns)?;
    Ok(along_width(&wide.transpose(2, 3)?, rows)?.transpose(2, 3)?.contiguous()?)
}

/// `x · mᵀ` for each feature map of `x`, `(N, C, H, W)`; the result is `(N, C, H, rows)`.
fn along_width(x: &Tensor, m: &Matrix) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    ensure!(w == m.columns, "cannot multiply a {h}x{w} map by a matrix with {} columns", m.columns);
    if n * c == 0 {
        return Ok(Tensor::zeros((n, c, h, m.rows), x.dtype(), x.device())?);
    }
    let by = like(m.transposed().numbers, (m.columns, m.rows), x)?;
    Ok(x.contiguous()?.reshape((n * c * h, w))?.matmul(&by)?.reshape((n, c, h, m.rows))?)
}

/// The matrix whose row `i` averages window `i` of an axis of `size` positions.
fn means(window: &Window, size: usize, windows: usize, include_pad: bool) -> Matrix {
    let mut numbers = vec![0.0; windows * size];
    for (i, row) in numbers.chunks_exact_mut(size).enumerate() {
        let share = 1.0 / counted(window, i, size, include_pad) as f64;
        (0..window.kernel).filter_map(|t| window.at(i, t, size)).for_each(|place| row[place] = share);
    }
    Matrix { rows: windows, columns: size, numbers }
}

/// The interpolation weights of an axis of `size` positions as a dense matrix.
fn dense(taps: &[Tap], size: usize) -> Matrix {
    let mut numbers = vec![0.0; taps.len() * size];
    for (row, tap) in numbers.chunks_exact_mut(size).zip(taps) {
        row[tap.first..tap.first + tap.weights.len()].copy_from_slice(&tap.weights);
    }
    Matrix { rows: taps.len(), columns: size, numbers }
}

impl Matrix {
    fn transposed(&self) -> Self {
        let column = |j: usize| self.numbers[j..].iter().step_by(self.columns).copied();
        let numbers = (0..self.columns).flat_map(column).collect();
        Self { rows: self.columns, columns: self.rows, numbers }
    }
}
