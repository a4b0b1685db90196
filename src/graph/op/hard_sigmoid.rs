//! A piecewise linear approximation of the sigmoid.

use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use gradscope_engine::{Pointwise, Real, Saves};
use std::sync::Arc;

/// `min(max(x + 3, 0), 6) / 6`; PyTorch's `Hardsigmoid` (Howard et al. 2019, arXiv:1905.02244).
#[derive(Debug)]
pub struct HardSigmoid;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "hard_sigmoid",
    family: Family::Activation,
    torch: "Hardsigmoid",
    note: "",
    onnx: &["HardSigmoid"],
    aten: &["hardsigmoid.default", "hardsigmoid_.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(HardSigmoid)),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::elementwise(HardSigmoid, d, |x| (x / 6.0 + 0.5).clamp(0.0, 1.0)),
};

impl Formula for HardSigmoid {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }
}

impl Pointwise for HardSigmoid {
    const SAVES: Saves = Saves::Input;

    #[inline(always)]
    fn value<R: Real>(x: R, _: [R; 2]) -> R {
        (x + R::of(3.0)).at_least(R::of(0.0)).at_most(R::of(6.0)) / R::of(6.0)
    }

    #[inline(always)]
    fn slope<R: Real>(x: R, _: [R; 2]) -> R {
        let sixth = R::of(1.0 / 6.0);
        (R::of(3.0) - x.abs()).choose(sixth, R::of(0.0))
    }
}
