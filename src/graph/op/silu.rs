//! The sigmoid linear unit.

use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use gradscope_engine::{Pointwise, Real, Saves};
use std::sync::Arc;

/// `x σ(x)`, also called swish (Elfwing et al. 2018, arXiv:1702.03118).
#[derive(Debug)]
pub struct Silu;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "silu",
    family: Family::Activation,
    torch: "SiLU",
    note: "",
    onnx: &[],
    aten: &["silu.default", "silu_.default"],
    aliases: &["swish"],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(Silu)),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::elementwise(Silu, d, |x| x / (1.0 + (-x).exp())),
};

impl Formula for Silu {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }
}

impl Pointwise for Silu {
    const SAVES: Saves = Saves::Input;

    #[inline(always)]
    fn value<R: Real>(x: R, _: [R; 2]) -> R {
        x.clone() * x.sigmoid()
    }

    #[inline(always)]
    fn slope<R: Real>(x: R, _: [R; 2]) -> R {
        let gate = x.clone().sigmoid();
        gate.clone() * (R::of(1.0) + x * (R::of(1.0) - gate))
    }
}
