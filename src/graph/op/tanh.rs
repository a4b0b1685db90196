//! The hyperbolic tangent.

use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use gradscope_engine::{Pointwise, Real, Saves};
use std::sync::Arc;

/// `tanh x`.
#[derive(Debug)]
pub struct Tanh;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "tanh",
    family: Family::Activation,
    torch: "Tanh",
    note: "",
    onnx: &["Tanh"],
    aten: &["tanh.default", "tanh_.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Tanh)),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::elementwise(Tanh, d, |x| 1.0 - 2.0 / ((2.0 * x).exp() + 1.0)),
};

impl Formula for Tanh {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }
}

impl Pointwise for Tanh {
    const SAVES: Saves = Saves::Output;

    #[inline(always)]
    fn value<R: Real>(x: R, _: [R; 2]) -> R {
        x.tanh()
    }

    #[inline(always)]
    fn slope<R: Real>(y: R, _: [R; 2]) -> R {
        R::of(1.0) - y.square()
    }
}
