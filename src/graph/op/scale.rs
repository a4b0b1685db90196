//! Scaling and shifting by constants.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Saved};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// `factor · x + shift`.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The factor by which the input is multiplied.
    pub factor: f64,
    /// The constant that is added.
    pub shift: f64,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "scale",
    family: Family::Elementwise,
    torch: "x * factor + shift",
    note: "",
    onnx: &[],
    aten: &[],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("factor"), Argument::float("shift", 0.0)],
    build: |a, _| Ok(Arc::new(Scale { factor: a.float("factor")?, shift: a.float("shift")? })),
    from_shapes: None,
    relevance: DefaultRule::Share,
    draw: |d| Case::new(Scale { factor: -1.5, shift: d.between(0, 4) as f64 / 4.0 }, &[&d.map()]),
};

impl Op for Scale {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].affine(self.factor, self.shift)?)
    }

    fn vjp(&self, _: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok((dy * self.factor)?)
    }
}
