//! The exponential function.

use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use gradscope_engine::{Pointwise, Real, Saves};
use std::sync::Arc;

/// `eˣ`; PyTorch's `exp`. Used in gates, for example.
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
    // Few elements: test values are spaced by 0.05, so with many of them the largest exponentials would swamp the finite differences
    // of the smallest.
    draw: |d| Case { definition: Some(f64::exp), ..Case::new(Exp, &[&[d.between(1, 2), 3, 4]]) },
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
