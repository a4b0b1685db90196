//! Powers with a constant exponent.

use super::argument::Argument;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use super::{Op, Saved};
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// `x^p`: 0.5 is the square root, -1 the reciprocal. PyTorch's `pow`.
#[derive(Debug)]
pub struct Pow {
    /// The exponent.
    pub exponent: f64,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "pow",
    family: Family::Elementwise,
    torch: "pow",
    note: "0.5 is the square root, -1 the reciprocal",
    onnx: &["Pow"],
    aten: &["pow.Tensor_Scalar"],
    aliases: &["sqrt", "reciprocal"],
    inputs: Inputs::One,
    arguments: &[Argument::required("exponent")],
    build: |a, _| Ok(Arc::new(Pow { exponent: a.float("exponent")? })),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::elementwise(Pow { exponent: 3.0 }, d, |x| x.powi(3)),
};

/// `x^p`; candle's powers of negative numbers are NaN even for integer exponents.
fn power(x: &Tensor, exponent: f64) -> Result<Tensor> {
    Ok(match exponent {
        0.0 => x.ones_like()?,
        1.0 => x.clone(),
        2.0 => x.sqr()?,
        0.5 => x.sqrt()?,
        -1.0 => x.recip()?,
        p if p.fract() == 0.0 => {
            let magnitude = x.abs()?.powf(p)?;
            if p % 2.0 == 0.0 { magnitude } else { (magnitude * x.sign()?)? }
        }
        p => x.powf(p)?,
    })
}

impl Op for Pow {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        power(x[0], self.exponent)
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        Ok(((dy * power(at.x(0)?, self.exponent - 1.0)?)? * self.exponent)?)
    }
}
