//! Selecting several indices along a dimension.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Saved};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// Selects indices along a dimension, the same ones for every picture; indices may repeat. PyTorch's `index_select(dim, index)`.
#[derive(Debug)]
pub struct Gather {
    /// The dimension to select from; never the batch dimension.
    pub dim: usize,
    /// The indices to select.
    pub index: Vec<usize>,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "gather",
    family: Family::Shape,
    torch: "index_select",
    note: "",
    onnx: &["Gather"],
    aten: &["index_select.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("dim"), Argument::required("index")],
    build: |a, x| Ok(Arc::new(Gather { dim: a.inner_dim("dim", x[0])?, index: a.sizes("index")? })),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let (map, dim) = (d.map(), d.between(1, 3));
        let index = (0..d.between(1, 6)).map(|_| d.between(0, map[dim] - 1)).collect();
        Case::new(Gather { dim, index }, &[&map])
    },
};

impl Gather {
    fn index(&self, x: &Tensor) -> Result<Tensor> {
        Ok(Tensor::new(self.index.iter().map(|&i| i as u32).collect::<Vec<_>>(), x.device())?)
    }
}

impl Op for Gather {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        let mut shape = x[0].to_vec();
        ensure!(self.dim < shape.len(), "no dimension {} in shape {shape:?}", self.dim);
        let beyond = self.index.iter().find(|&&i| i >= shape[self.dim]);
        ensure!(
            beyond.is_none(),
            "index {} is out of range for a dimension of size {}",
            beyond.unwrap_or(&0),
            shape[self.dim]
        );
        ensure!(!self.index.is_empty(), "gather needs at least one index");
        shape[self.dim] = self.index.len();
        Ok(shape)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].contiguous()?.index_select(&self.index(x[0])?, self.dim)?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let zeros = Tensor::zeros(at.dims(0)?, dy.dtype(), dy.device())?;
        Ok(zeros.index_add(&self.index(dy)?, &dy.contiguous()?, self.dim)?)
    }
}
