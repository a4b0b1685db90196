//! The mean over dimensions.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Pattern, Saved, reduced};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// The mean over dimensions; PyTorch's `mean(dim, keepdim)`.
#[derive(Debug)]
pub struct Mean {
    /// The dimensions to average over; never the batch dimension.
    pub dims: Vec<usize>,
    /// Whether reduced dimensions are kept with size 1.
    pub keepdim: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "mean",
    family: Family::Pool,
    torch: "mean",
    note: "over one or more dimensions",
    onnx: &["ReduceMean"],
    aten: &["mean.dim"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("dim"), Argument::bool("keepdim", false)],
    build: |a, x| Ok(Arc::new(Mean { dims: a.dims("dim", x[0])?, keepdim: a.bool("keepdim")? })),
    from_shapes: None,
    relevance: DefaultRule::Share,
    draw: |d| {
        let dims = [vec![1], vec![2, 3], vec![3], vec![1, 2, 3]][d.between(0, 3)].clone();
        Case::new(Mean { dims, keepdim: d.coin() }, &[&d.map()])
    },
};

impl Mean {
    /// Number of elements averaged, for a value of this shape.
    fn count(&self, shape: &[usize]) -> f64 {
        self.dims.iter().map(|&d| shape[d]).product::<usize>() as f64
    }
}

impl Op for Mean {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, x: &[usize]) -> Pattern {
        if self.dims == [2, 3] { Pattern::mean_of_maps(x) } else { Pattern::Other }
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        reduced::shape(&self.dims, self.keepdim, x[0])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok((reduced::sum(&self.dims, self.keepdim, x[0])? / self.count(x[0].dims()))?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let shape = at.dims(0)?;
        reduced::spread(&self.dims, &(dy / self.count(&shape))?, shape)
    }
}
