//! The self-regularized non-monotonic activation Mish.

use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use gradscope_engine::{Pointwise, Real, Saves};
use std::sync::Arc;

/// `x tanh(ln(1 + eˣ))` (Misra 2020, arXiv:1908.08681).
#[derive(Debug)]
pub struct Mish;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "mish",
    family: Family::Activation,
    torch: "Mish",
    note: "",
    onnx: &["Mish"],
    aten: &["mish.default", "mish_.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Mish)),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::elementwise(Mish, d, |x| x * (1.0 + x.exp()).ln().tanh()),
};

impl Formula for Mish {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }
}

impl Pointwise for Mish {
    const SAVES: Saves = Saves::Input;

    #[inline(always)]
    fn value<R: Real>(x: R, _: [R; 2]) -> R {
        x.clone() * softplus(x).tanh()
    }

    #[inline(always)]
    fn slope<R: Real>(x: R, _: [R; 2]) -> R {
        let gate = softplus(x.clone()).tanh();
        gate.clone() + x.clone() * (R::of(1.0) - gate.square()) * x.sigmoid()
    }
}

#[inline(always)]
fn softplus<R: Real>(x: R) -> R {
    x.clone().at_least(R::of(0.0)) + (-x.abs()).exp().ln_1p()
}
