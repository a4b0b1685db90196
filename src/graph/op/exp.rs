//! The exponential function.

use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use gradscope_engine::{Pointwise, Real, Saves};
use std::sync::Arc;

/// `eˣ`, such as in gates; PyTorch's `exp`.
#[derive(Debug)]
pub struct Exp;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "exp",
    family: Family::Activation,
    torch: "exp",
    note: "",
    onnx: &["Exp"],
    aten: &["exp.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Exp)),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::new(Exp, &[&d.map()]),
};

impl Formula for Exp {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }
}

impl Pointwise for Exp {
    const SAVES: Saves = Saves::Output;

    #[inline(always)]
    fn value<R: Real>(x: R, _: [R; 2]) -> R {
        x.exp()
    }

    #[inline(always)]
    fn slope<R: Real>(y: R, _: [R; 2]) -> R {
        y
    }
}
