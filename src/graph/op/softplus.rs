//! A smooth approximation of ReLU.

use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use gradscope_engine::{Pointwise, Real, Saves};
use std::sync::Arc;

/// `ln(1 + eˣ)`.
#[derive(Debug)]
pub struct Softplus;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "softplus",
    family: Family::Activation,
    torch: "Softplus",
    note: "",
    onnx: &["Softplus"],
    aten: &["softplus.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Softplus)),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::elementwise(Softplus, d, |x| (1.0 + x.exp()).ln()),
};

impl Formula for Softplus {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }
}

impl Pointwise for Softplus {
    const SAVES: Saves = Saves::Input;

    #[inline(always)]
    fn value<R: Real>(x: R, _: [R; 2]) -> R {
        x.clone().at_least(R::of(0.0)) + (-x.abs()).exp().ln_1p()
    }

    #[inline(always)]
    fn slope<R: Real>(x: R, _: [R; 2]) -> R {
        x.sigmoid()
    }
}
