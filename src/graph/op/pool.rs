//! Pooling: the greatest or the mean of windows.

use super::{Form, Op, Site, maps};
use crate::kernel::{self, Pool2d, Window};
use crate::tensor;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// The greatest value of each window; PyTorch's `MaxPool2d`.
#[derive(Debug)]
pub struct MaxPool {
    /// The windows.
    pub pool: Pool2d,
}

/// The mean of each window; PyTorch's `AvgPool2d`.
#[derive(Debug)]
pub struct AvgPool {
    /// The windows.
    pub pool: Pool2d,
    /// Whether padding counts in the mean.
    pub include_pad: bool,
}

/// Means over a grid of `output` cells that cover the map; PyTorch's `AdaptiveAvgPool2d`.
#[derive(Debug)]
pub struct AdaptiveAvgPool {
    /// Rows and columns of the grid.
    pub output: (usize, usize),
}

/// The mean of each map, `(N, C, H, W)` to `(N, C)`.
#[derive(Debug)]
pub struct GlobalAvgPool;

impl Op for MaxPool {
    fn kind(&self) -> &'static str {
        "max_pool"
    }

    fn form(&self, _: &[usize]) -> Form {
        Form::Max(self.pool)
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        pooled(x, &self.pool)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        kernel::max_pool2d(x[0], &self.pool)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        kernel::max_pool2d_vjp(dy, at.x(0)?, &self.pool)
    }

    fn mean(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(AvgPool { pool: self.pool, include_pad: true }))
    }
}

impl Op for AvgPool {
    fn kind(&self) -> &'static str {
        "avg_pool"
    }

    fn form(&self, _: &[usize]) -> Form {
        Form::Mean(self.pool, self.include_pad)
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(self.pool.h.dilation == 1 && self.pool.w.dilation == 1, "average pooling has no dilation");
        pooled(x, &self.pool)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        kernel::avg_pool2d(x[0], &self.pool, self.include_pad)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        kernel::avg_pool2d_vjp(dy, &at.dims(0)?, &self.pool, self.include_pad)
    }

    fn mean(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(AvgPool { pool: self.pool, include_pad: self.include_pad }))
    }
}

fn pooled(x: &[&[usize]], pool: &Pool2d) -> Result<Vec<usize>> {
    let [n, c, h, w] = maps(x)?;
    let (oh, ow) = pool.output(h, w)?;
    Ok(vec![n, c, oh, ow])
}

/// Row `i` of the result is the mean over `floor(i·size/out) .. ceil((i+1)·size/out)`: a matrix `(out, size)`.
fn cells(size: usize, out: usize, like: &Tensor) -> Result<Tensor> {
    let mut matrix = vec![0f64; out * size];
    for i in 0..out {
        let (first, end) = (i * size / out, ((i + 1) * size).div_ceil(out));
        matrix[i * size + first..i * size + end].fill(1.0 / (end - first) as f64);
    }
    tensor::like(matrix, (out, size), like)
}

/// `rows · x · columnsᵀ` for each map.
fn on_both_sides(x: &Tensor, rows: &Tensor, columns: &Tensor) -> Result<Tensor> {
    let half = x.contiguous()?.broadcast_matmul(&columns.t()?)?;
    Ok(rows.broadcast_matmul(&half)?)
}

impl Op for AdaptiveAvgPool {
    fn kind(&self) -> &'static str {
        "adaptive_avg_pool"
    }

    fn form(&self, x: &[usize]) -> Form {
        match *x {
            [_, _, h, w] if (h, w) == self.output => Form::Same,
            [_, _, h, w] if h.is_multiple_of(self.output.0) && w.is_multiple_of(self.output.1) => {
                let cell = |size: usize, out: usize| Window::new(size / out, size / out, 0, 1);
                let pool = Pool2d { h: cell(h, self.output.0), w: cell(w, self.output.1), ceil_mode: false };
                Form::Mean(pool, false)
            }
            _ => Form::Other,
        }
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, _, _] = maps(x)?;
        ensure!(self.output.0 > 0 && self.output.1 > 0, "a grid needs 1 cell or more");
        Ok(vec![n, c, self.output.0, self.output.1])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let (_, _, h, w) = x[0].dims4()?;
        on_both_sides(x[0], &cells(h, self.output.0, x[0])?, &cells(w, self.output.1, x[0])?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let [_, _, h, w] = maps(&[&at.dims(0)?])?;
        let (rows, columns) = (cells(h, self.output.0, dy)?, cells(w, self.output.1, dy)?);
        on_both_sides(dy, &rows.t()?.contiguous()?, &columns.t()?.contiguous()?)
    }

    fn mean(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { output: self.output }))
    }
}

impl Op for GlobalAvgPool {
    fn kind(&self) -> &'static str {
        "global_avg_pool"
    }

    fn form(&self, x: &[usize]) -> Form {
        let [_, _, h, w] = *x else { return Form::Other };
        let whole = |size: usize| Window::new(size, 1, 0, 1);
        Form::Mean(Pool2d { h: whole(h), w: whole(w), ceil_mode: false }, false)
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, _, _] = maps(x)?;
        Ok(vec![n, c])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].mean((2, 3))?)
    }

    fn vjp(&self, at: &Site, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let [n, c, h, w] = maps(&[&at.dims(0)?])?;
        let share = (dy / (h * w) as f64)?.reshape((n, c, 1, 1))?;
        Ok(share.broadcast_as((n, c, h, w))?.contiguous()?)
    }

    fn mean(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self))
    }
}
