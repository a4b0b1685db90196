//! The sum over dimensions.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Saved, reduced};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// The sum over dimensions; PyTorch's `sum(dim, keepdim)`.
#[derive(Debug)]
pub struct Sum {
    /// The dimensions to sum over; never the batch dimension.
    pub dims: Vec<usize>,
    /// Whether reduced dimensions are kept with size 1.
    pub keepdim: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "sum",
    family: Family::Elementwise,
    torch: "sum",
    note: "over one or more dimensions",
    onnx: &["ReduceSum"],
    aten: &["sum.dim_IntList"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("dim"), Argument::bool("keepdim", false)],
    build: |a, x| Ok(Arc::new(Sum { dims: a.dims("dim", x[0])?, keepdim: a.bool("keepdim")? })),
    from_shapes: None,
    relevance: DefaultRule::Share,
    draw: |d| {
        let dims = [vec![1], vec![2], vec![3], vec![1, 3]][d.between(0, 3)].clone();
        Case::new(Sum { dims, keepdim: d.coin() }, &[&d.map()])
    },
};

impl Op for Sum {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        reduced::shape(&self.dims, self.keepdim, x[0])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        reduced::sum(&self.dims, self.keepdim, x[0])
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        reduced::spread(&self.dims, dy, at.dims(0)?)
    }
}
