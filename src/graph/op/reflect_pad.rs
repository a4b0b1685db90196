//! Reflection padding.

use super::argument::Argument;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Saved, maps};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// Pads a feature map with rows and columns mirrored at its borders, without repeating the border itself; PyTorch's
/// `ReflectionPad2d`. If the padding is at least as large as the feature map, which is an error in PyTorch, reflections repeat
/// as in NumPy's `reflect` mode.
#[derive(Debug)]
pub struct ReflectPad {
    /// Number of rows added at the top and at the bottom.
    pub rows: usize,
    /// Number of columns added at the left and at the right.
    pub columns: usize,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "reflect_pad",
    family: Family::Shape,
    torch: "ReflectionPad2d",
    note: "the padding may exceed the size of the feature map",
    onnx: &[],
    aten: &["reflection_pad2d.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("padding")],
    build: |a, _| {
        let (rows, columns) = a.pair("padding")?;
        Ok(Arc::new(ReflectPad { rows, columns }))
    },
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let [n, c, h, _] = d.map();
        let op = ReflectPad { rows: d.between(0, h - 1), columns: d.between(0, 9) };
        Case::new(op, &[&[n, c, h, d.between(1, 9)]])
    },
};

impl Op for ReflectPad {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, h, w] = maps(x)?;
        ensure!(h > 0 && w > 0, "cannot reflect an empty map of {h}x{w}");
        Ok(vec![n, c, h + 2 * self.rows, w + 2 * self.columns])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let (rows, columns) = (mirrored(x[0], 2, self.rows)?, mirrored(x[0], 3, self.columns)?);
        Ok(x[0].index_select(&rows, 2)?.index_select(&columns, 3)?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let x = at.x(0)?;
        let (rows, columns) = (mirrored(x, 2, self.rows)?, mirrored(x, 3, self.columns)?);
        let wide = Tensor::zeros((x.dim(0)?, x.dim(1)?, dy.dim(2)?, x.dim(3)?), x.dtype(), x.device())?;
        Ok(x.zeros_like()?.index_add(&rows, &wide.index_add(&columns, &dy.contiguous()?, 3)?, 2)?)
    }
}

/// The source index of each position of dimension `dim` after padding by `pad` on both sides.
fn mirrored(x: &Tensor, dim: usize, pad: usize) -> Result<Tensor> {
    let (size, pad) = (x.dim(dim)? as i64, pad as i64);
    let period = (2 * size - 2).max(1);
    let at = |i: i64| {
        let place = i.rem_euclid(period);
        place.min(period - place) as u32 % size as u32
    };
    let places: Vec<_> = (-pad..size + pad).map(at).collect();
    Ok(Tensor::new(places, x.device())?)
}
