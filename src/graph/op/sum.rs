//! The sum over some dimensions.

use super::argument::Argument;
use super::spec::{Case, Family, Inputs, OpSpec, Relevance};
use super::{Op, Saved};
use crate::kernel;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use std::sync::Arc;

/// PyTorch's `sum(dim, keepdim)`.
#[derive(Debug)]
pub struct Sum {
    /// The dimensions; not the batch.
    pub dims: Vec<usize>,
    /// Whether they stay, with size 1.
    pub keepdim: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "sum",
    family: Family::Elementwise,
    torch: "sum",
    note: "over one dimension or a list",
    onnx: &["ReduceSum"],
    aten: &["sum.dim_IntList"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("dim"), Argument::bool("keepdim", false)],
    build: |a, x| Ok(Arc::new(Sum { dims: a.dims("dim", x[0])?, keepdim: a.bool("keepdim")? })),
    from_shapes: None,
    relevance: Relevance::Share,
    draw: |d| {
        let dims = [vec![1], vec![2], vec![3], vec![1, 3]][d.between(0, 3)].clone();
        Case::new(Sum { dims, keepdim: d.coin() }, &[&d.map()])
    },
};

impl Sum {
    /// The shape of the value with the dimensions kept.
    fn kept(&self, shape: &[usize]) -> Vec<usize> {
        shape.iter().enumerate().map(|(d, &size)| if self.dims.contains(&d) { 1 } else { size }).collect()
    }
}

impl Op for Sum {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(self.dims.iter().all(|&d| d < x[0].len()), "no dimensions {:?} in {:?}", self.dims, x[0]);
        let stays = |(d, _): &(usize, usize)| self.keepdim || !self.dims.contains(d);
        Ok(self.kept(x[0]).into_iter().enumerate().filter(stays).map(|(_, size)| size).collect())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let sum = kernel::sum_keepdim(x[0], &self.dims)?.reshape(self.shape(&[x[0].dims()])?)?;
        Ok(sum)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let shape = at.dims(0)?;
        let share = dy.clone();
        Ok(share.reshape(self.kept(&shape))?.broadcast_as(shape)?.contiguous()?)
    }
}
