//! Slicing a dimension.

use super::argument::Argument;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Pattern, Saved};
use anyhow::{Result, bail, ensure};
use candle_core::Tensor;
use gradscope_engine::{StridedSlice, View};
use std::sync::Arc;

/// Selects indices `start, start + step, … < end` of one dimension; PyTorch's `x[:, :, start:end:step]`.
#[derive(Debug)]
pub struct Slice {
    /// The dimension to slice; never the batch dimension.
    pub dim: usize,
    /// First index; negative values count from the end.
    pub start: i64,
    /// End index, exclusive; negative values count from the end. `None` means the end of the dimension.
    pub end: Option<i64>,
    /// Step between indices, 1 or more.
    pub step: usize,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "slice",
    family: Family::Shape,
    torch: "x[:, :, start:end:step]",
    note: "up to the last element if `end` is omitted",
    onnx: &["Slice"],
    aten: &["slice.Tensor"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[
        Argument::required("dim"),
        Argument::int("start", 0),
        Argument::optional("end"),
        Argument::int("step", 1),
    ],
    build: |a, x| {
        let end = if a.has("end") { Some(a.int("end")?) } else { None };
        Ok(Arc::new(Slice { dim: a.dim("dim", x[0])?, start: a.int("start")?, end, step: a.size("step")? }))
    },
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let (map, dim) = (d.map(), d.between(1, 3));
        let size = map[dim];
        let start = d.between(0, size - 1);
        let end = d.between(start + 1, size);
        // Half of the time, count from the end; an end of 0 then becomes `None`.
        let mut place = |at: usize| if d.coin() { at as i64 - size as i64 } else { at as i64 };
        let (start, end) = (place(start), Some(place(end)).filter(|&end| end != 0));
        let end = if d.coin() { end } else { None };
        Case::new(Slice { dim, start, end, step: d.between(1, 3) }, &[&map])
    },
};

impl Slice {
    /// The selected half-open range of a dimension of size `size`.
    fn range(&self, size: usize) -> std::ops::Range<usize> {
        let place = |n: i64| if n < 0 { n.saturating_add(size as i64) } else { n }.clamp(0, size as i64) as usize;
        place(self.start)..self.end.map_or(size, place)
    }

    /// The selected indices for `x`, as a tensor.
    fn places(&self, x: &Tensor) -> Result<Tensor> {
        let range = self.range(x.dim(self.dim)?);
        let places: Vec<_> = (range.start as u32..range.end as u32).step_by(self.step).collect();
        Ok(Tensor::new(places, x.device())?)
    }

    /// Formats the slice as in Python, such as `1:-1:2`.
    fn text(&self) -> String {
        format!("{}:{}:{}", self.start, self.end.map_or_else(String::new, |end| end.to_string()), self.step)
    }
}

impl Op for Slice {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, x: &[usize]) -> Pattern {
        let (Some(&size), step) = (x.get(self.dim), self.step) else { return Pattern::Other };
        let start = self.range(size).start;
        match (self.dim, x.len()) {
            (2, 4) => Pattern::Pick(StridedSlice { start: (start, 0), step: (step, 1), before: 0 }),
            (3, 4) => Pattern::Pick(StridedSlice { start: (0, start), step: (1, step), before: 0 }),
            _ => Pattern::View,
        }
    }

    fn view(&self, x: &View, shape: &[usize]) -> Option<View> {
        let dim = self.dim - 1;
        Some(x.slice(dim, self.range(x.dims[dim]).start, shape[dim], self.step))
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let Some(&size) = x[0].get(self.dim).filter(|_| self.dim > 0) else {
            bail!(
                "cannot slice dimension {} of shape {:?}; choose a dimension other than the batch dimension",
                self.dim,
                x[0]
            );
        };
        ensure!(self.step > 0, "the step of a slice must be at least 1, got 0");
        let range = self.range(size);
        ensure!(!range.is_empty(), "{} selects nothing from dimension {} of shape {:?}", self.text(), self.dim, x[0]);
        let mut shape = x[0].to_vec();
        shape[self.dim] = range.len().div_ceil(self.step);
        Ok(shape)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        self.shape(&[x[0].dims()])?;
        Ok(x[0].index_select(&self.places(x[0])?, self.dim)?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let x = at.x(0)?;
        Ok(x.zeros_like()?.index_add(&self.places(x)?, &dy.contiguous()?, self.dim)?)
    }
}
