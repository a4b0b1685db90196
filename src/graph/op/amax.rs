//! The maximum over dimensions.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Saved, reduced};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// The maximum over dimensions. Equal maxima share the gradient evenly, as in PyTorch's `amax`.
#[derive(Debug)]
pub struct Amax {
    /// The dimensions to reduce; never the batch dimension.
    pub dims: Vec<usize>,
    /// Whether reduced dimensions are kept with size 1.
    pub keepdim: bool,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "amax",
    family: Family::Pool,
    torch: "amax",
    note: "over one or more dimensions",
    onnx: &["ReduceMax", "GlobalMaxPool"],
    aten: &["amax.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("dim"), Argument::bool("keepdim", false)],
    build: |a, x| Ok(Arc::new(Amax { dims: a.dims("dim", x[0])?, keepdim: a.bool("keepdim")? })),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let dims = [vec![1], vec![2, 3], vec![3]][d.between(0, 2)].clone();
        Case::new(Amax { dims, keepdim: d.coin() }, &[&d.map()])
    },
};

impl Amax {
    /// The maximum, with the reduced dimensions kept as size 1.
    fn kept(&self, x: &Tensor) -> Result<Tensor> {
        self.dims.iter().try_fold(x.clone(), |x, &d| Ok(x.max_keepdim(d)?))
    }
}

impl Op for Amax {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        reduced::shape(&self.dims, self.keepdim, x[0])
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(self.kept(x[0])?.reshape(self.shape(&[x[0].dims()])?)?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let x = at.x(0)?;
        let largest = x.broadcast_eq(&self.kept(x)?)?.to_dtype(x.dtype())?;
        let mut count = largest.clone();
        for &d in &self.dims {
            count = count.sum_keepdim(d)?;
        }
        let share = (dy.reshape(count.shape())? / count)?;
        Ok(largest.broadcast_mul(&share)?)
    }
}
