//! Average pooling to a given output size.

use super::argument::Argument;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Pattern, Saved, maps};
use crate::backend::{Pool2d, Window};
use crate::tensor;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// Averages a feature map over each cell of a grid of `output` cells that covers it; PyTorch's `AdaptiveAvgPool2d`.
#[derive(Debug)]
pub struct AdaptiveAvgPool {
    /// Number of rows and columns of the grid.
    pub output: (usize, usize),
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "adaptive_avg_pool",
    family: Family::Pool,
    torch: "AdaptiveAvgPool2d",
    note: "",
    onnx: &[],
    aten: &["adaptive_avg_pool2d.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("output_size").or(&["output"])],
    build: |a, _| Ok(Arc::new(AdaptiveAvgPool { output: a.pair("output_size")? })),
    from_shapes: None,
    relevance: DefaultRule::Share,
    draw: |d| Case::new(AdaptiveAvgPool { output: d.pair(1, 11) }, &[&d.map()]),
};

impl Op for AdaptiveAvgPool {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, x: &[usize]) -> Pattern {
        match *x {
            [_, _, h, w] if (h, w) == self.output => Pattern::Same,
            [_, _, h, w] if h.is_multiple_of(self.output.0) && w.is_multiple_of(self.output.1) => {
                let cell = |size: usize, out: usize| Window::new(size / out, size / out, 0, 1);
                let pool = Pool2d { h: cell(h, self.output.0), w: cell(w, self.output.1), ceil_mode: false };
                Pattern::Mean(pool, false)
            }
            _ => Pattern::Other,
        }
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, _, _] = maps(x)?;
        ensure!(self.output.0 > 0 && self.output.1 > 0, "the output size must be at least 1x1");
        Ok(vec![n, c, self.output.0, self.output.1])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let (_, _, h, w) = x[0].dims4()?;
        on_both_sides(x[0], &cells(h, self.output.0, x[0])?, &cells(w, self.output.1, x[0])?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let [_, _, h, w] = maps(&[&at.dims(0)?])?;
        let (rows, columns) = (cells(h, self.output.0, dy)?, cells(w, self.output.1, dy)?);
        on_both_sides(dy, &rows.t()?.contiguous()?, &columns.t()?.contiguous()?)
    }

    fn mean(&self) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { output: self.output }))
    }
}

/// The `(out, size)` matrix whose row `i` averages positions `floor(i·size/out) .. ceil((i+1)·size/out)`.
fn cells(size: usize, out: usize, like: &Tensor) -> Result<Tensor> {
    let mut matrix = vec![0f64; out * size];
    for i in 0..out {
        let (first, end) = (i * size / out, ((i + 1) * size).div_ceil(out));
        matrix[i * size + first..i * size + end].fill(1.0 / (end - first) as f64);
    }
    tensor::like(matrix, (out, size), like)
}

/// Multiplies each feature map of `x` on both sides: `rows · x · columnsᵀ`.
fn on_both_sides(x: &Tensor, rows: &Tensor, columns: &Tensor) -> Result<Tensor> {
    let half = x.contiguous()?.broadcast_matmul(&columns.t()?)?;
    Ok(rows.broadcast_matmul(&half)?)
}
