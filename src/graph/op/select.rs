//! Selecting one index along a dimension.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Pattern, Saved};
use anyhow::{Context, Result};
use candle_core::Tensor;
use gradscope_engine::View;
use std::sync::Arc;

/// Selects one index along a dimension and removes the dimension: `x[:, index]`. PyTorch's `select(dim, index)`.
#[derive(Debug)]
pub struct Select {
    /// The dimension to select from; never the batch dimension.
    pub dim: usize,
    /// The index to select; negative values count from the end.
    pub index: i64,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "select",
    family: Family::Shape,
    torch: "select",
    note: "removes the dimension",
    onnx: &[],
    aten: &["select.int"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("dim"), Argument::required("index")],
    build: |a, x| Ok(Arc::new(Select { dim: a.inner_dim("dim", x[0])?, index: a.int("index")? })),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let (map, dim) = (d.map(), d.between(1, 3));
        let index = d.between(0, map[dim] - 1) as i64;
        let index = if d.coin() { index } else { index - map[dim] as i64 };
        Case::new(Select { dim, index }, &[&map])
    },
};

impl Select {
    /// The selected index as a non-negative index into a value of shape `shape`.
    fn place(&self, shape: &[usize]) -> Result<usize> {
        let size = *shape.get(self.dim).with_context(|| format!("no dimension {} in shape {shape:?}", self.dim))?;
        let place = if self.index < 0 { self.index.saturating_add(size as i64) } else { self.index };
        let place = usize::try_from(place).ok().filter(|&i| i < size);
        place.with_context(|| format!("index {} is out of range for a dimension of size {size}", self.index))
    }
}

impl Op for Select {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::View
    }

    fn view(&self, x: &View, _: &[usize]) -> Option<View> {
        let shape = [&[1], &x.dims[..]].concat();
        Some(x.select(self.dim - 1, self.place(&shape).ok()?))
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        self.place(x[0])?;
        let mut shape = x[0].to_vec();
        shape.remove(self.dim);
        Ok(shape)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let place = self.place(x[0].dims())?;
        Ok(x[0].narrow(self.dim, place, 1)?.squeeze(self.dim)?.contiguous()?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let shape = at.dims(0)?;
        let place = self.place(&shape)?;
        let dy = dy.unsqueeze(self.dim)?;
        Ok(dy.pad_with_zeros(self.dim, place, shape[self.dim] - place - 1)?.contiguous()?)
    }
}
