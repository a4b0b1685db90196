//! ReLU with an upper bound of 6.

use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use gradscope_engine::{Pointwise, Real, Saves};
use std::sync::Arc;

/// `min(max(x, 0), 6)` (Howard et al. 2017, arXiv:1704.04861).
#[derive(Debug)]
pub struct Relu6;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "relu6",
    family: Family::Activation,
    torch: "ReLU6",
    note: "",
    onnx: &[],
    aten: &["relu6.default", "relu6_.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Relu6)),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::elementwise(Relu6, d, |x| x.clamp(0.0, 6.0)),
};

impl Formula for Relu6 {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }
}

impl Pointwise for Relu6 {
    const SAVES: Saves = Saves::Output;

    #[inline(always)]
    fn value<R: Real>(x: R, _: [R; 2]) -> R {
        x.at_least(R::of(0.0)).at_most(R::of(6.0))
    }

    #[inline(always)]
    fn slope<R: Real>(y: R, _: [R; 2]) -> R {
        let above = y.clone().choose(R::of(1.0), R::of(0.0));
        (R::of(6.0) - y).choose(above, R::of(0.0))
    }
}
