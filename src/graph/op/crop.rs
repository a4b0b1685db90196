//! Cropping the borders of feature maps.

use super::argument::Argument;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Pattern, Saved, maps};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use gradscope_engine::StridedSlice;
use std::sync::Arc;

/// Removes the outermost rows and columns of feature maps; PyTorch's `pad` with negative sizes.
#[derive(Debug)]
pub struct Crop {
    /// Number of rows removed at the top and at the bottom.
    pub rows: usize,
    /// Number of columns removed at the left and at the right.
    pub columns: usize,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "crop",
    family: Family::Shape,
    torch: "x[:, :, n:-n, n:-n]",
    note: "removes `n` pixels on each side",
    onnx: &[],
    aten: &[],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("size")],
    build: |a, _| {
        let (rows, columns) = a.pair("size")?;
        Ok(Arc::new(Crop { rows, columns }))
    },
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let map = d.map();
        let op = Crop { rows: d.between(0, (map[2] - 1) / 2), columns: d.between(0, (map[3] - 1) / 2) };
        Case::new(op, &[&map])
    },
};

impl Op for Crop {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::Pick(StridedSlice { start: (self.rows, self.columns), step: (1, 1), before: 0 })
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, h, w] = maps(x)?;
        let (rows, columns) = (self.rows, self.columns);
        ensure!(
            2 * rows < h && 2 * columns < w,
            "cannot crop {rows} rows and {columns} columns from each side of {h}x{w}"
        );
        Ok(vec![n, c, h - 2 * rows, w - 2 * columns])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let (_, _, h, w) = x[0].dims4()?;
        let rows = x[0].narrow(2, self.rows, h - 2 * self.rows)?;
        Ok(rows.narrow(3, self.columns, w - 2 * self.columns)?.contiguous()?)
    }

    fn vjp(&self, _: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.pad_with_zeros(2, self.rows, self.rows)?.pad_with_zeros(3, self.columns, self.columns)?)
    }
}
