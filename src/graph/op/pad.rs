//! Padding along a dimension.

use super::argument::Argument;
use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Pattern, Saved};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use gradscope_engine::StridedSlice;
use std::sync::Arc;

/// Pads one dimension with a constant at both ends; PyTorch's `pad`.
#[derive(Debug)]
pub struct Pad {
    /// The dimension to pad; never the batch dimension.
    pub dim: usize,
    /// Number of values added before the first index.
    pub before: usize,
    /// Number of values added after the last index.
    pub after: usize,
    /// The value to pad with.
    pub value: f64,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "pad",
    family: Family::Shape,
    torch: "pad",
    note: "along one dimension",
    onnx: &["Pad"],
    aten: &["constant_pad_nd.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[
        Argument::required("dim"),
        Argument::required("before"),
        Argument::required("after"),
        Argument::float("value", 0.0),
    ],
    build: |a, x| {
        let (before, after) = (a.size("before")?, a.size("after")?);
        Ok(Arc::new(Pad { dim: a.dim("dim", x[0])?, before, after, value: a.float("value")? }))
    },
    from_shapes: None,
    relevance: DefaultRule::Move,
    draw: |d| {
        let (dim, before, after) = (d.between(1, 3), d.between(0, 3), d.between(0, 3));
        Case::new(Pad { dim, before, after, value: d.between(0, 2) as f64 }, &[&d.map()])
    },
};

impl Op for Pad {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn pattern(&self, x: &[usize]) -> Pattern {
        match (self.dim, x.len()) {
            (1, 4) if self.value == 0.0 => {
                Pattern::Pick(StridedSlice { start: (0, 0), step: (1, 1), before: self.before })
            }
            _ => Pattern::Other,
        }
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        ensure!(self.dim > 0 && self.dim < x[0].len(), "cannot pad dimension {} of shape {:?}", self.dim, x[0]);
        let mut shape = x[0].to_vec();
        shape[self.dim] += self.before + self.after;
        Ok(shape)
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        let padded = x[0].pad_with_zeros(self.dim, self.before, self.after)?;
        if self.value == 0.0 {
            return Ok(padded);
        }
        // `value` in the padding, 0 inside.
        let inside = x[0].ones_like()?.pad_with_zeros(self.dim, self.before, self.after)?;
        let outside = inside.affine(-self.value, self.value)?;
        Ok((padded + outside)?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(dy.narrow(self.dim, self.before, at.dims(0)?[self.dim])?.contiguous()?)
    }
}
