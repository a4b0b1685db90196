//! Zero padding along a dimension.

use super::argument::Argument;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Pattern, Saved};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use gradscope_engine::StridedSlice;
use std::sync::Arc;

/// Adds zeros before and after one dimension; PyTorch's `pad`.
#[derive(Debug)]
pub struct Pad {
    /// The dimension to pad, other than the batch.
    pub dim: usize,
    /// Number of zeros added before the first index.
    pub before: usize,
    /// Number of zeros added after the last index.
    pub after: usize,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "pad",
    family: Family::Shape,
    torch: "pad",
    note: "zeros along one dimension",
    onnx: &["Pad"],
    aten: &["constant_pad_nd.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("dim"), Argument::required("before"), Argument::required("after")],
    build: |a, x| Ok(Arc::new(Pad { dim: a.dim("dim", x[0])?, before: a.size("before")?, after: a.size("after")? })),
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let (dim, before, after) = (d.between(1, 3), d.between(0, 3), d.between(0, 3));
        Case::new(Pad { dim, before, after }, &[&d.map()])
    },
};

impl Op for Pad {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, x: &[usize]) -> Pattern {
        match (self.dim, x.len()) {
            (1, 4) => Pattern::Pick(StridedSlice { start: (0, 0), step: (1, 1), before: self.before }),
            _ => Pattern::Other,
        }
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(self.dim > 0 && self.dim < x[0].len(), "cannot pad dimension {} of {:?}", self.dim, x[0]);
        let mut shape = x[0].to_vec();
        shape[self.dim] += self.before + self.after;
        Ok(shape)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].pad_with_zeros(self.dim, self.before, self.after)?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.narrow(self.dim, self.before, at.dims(0)?[self.dim])?.contiguous()?)
    }
}
