//! The sine activation.

use super::spec::{DefaultRule, Family, Inputs, OpSpec};
use super::{Case, Op, Saved};
use anyhow::Result;
use candle_core::Tensor;
use std::f64::consts::FRAC_PI_2;
use std::sync::Arc;

/// `sin x`: the activation of SIREN (Sitzmann et al. 2020, arXiv:2006.09661).
#[derive(Debug)]
pub struct Sin;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "sin",
    family: Family::Activation,
    torch: "sin",
    note: "",
    onnx: &["Sin"],
    aten: &["sin.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Sin)),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::elementwise(Sin, d, |x| (x - FRAC_PI_2).cos()),
};

impl Op for Sin {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        Ok(x[0].sin()?)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok((dy * at.x(0)?.cos()?)?)
    }
}
