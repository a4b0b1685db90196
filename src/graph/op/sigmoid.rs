//! The logistic function.

use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use gradscope_engine::{Pointwise, Real, Saves};
use std::sync::Arc;

/// `1 / (1 + e⁻ˣ)`.
#[derive(Debug)]
pub struct Sigmoid;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "sigmoid",
    family: Family::Activation,
    torch: "Sigmoid",
    note: "",
    onnx: &["Sigmoid"],
    aten: &["sigmoid.default", "sigmoid_.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Sigmoid)),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::elementwise(Sigmoid, d, |x| 1.0 / (1.0 + (-x).exp())),
};

impl Formula for Sigmoid {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }
}

impl Pointwise for Sigmoid {
    const SAVES: Saves = Saves::Output;

    #[inline(always)]
    fn value<R: Real>(x: R, _: [R; 2]) -> R {
        x.sigmoid()
    }

    #[inline(always)]
    fn slope<R: Real>(y: R, _: [R; 2]) -> R {
        y.clone() * (R::of(1.0) - y)
    }
}
