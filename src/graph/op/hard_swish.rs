//! A piecewise approximation of SiLU.

use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use gradscope_engine::{Pointwise, Real, Saves};
use std::sync::Arc;

/// `x min(max(x + 3, 0), 6) / 6`; PyTorch's `Hardswish` (Howard et al. 2019, arXiv:1905.02244).
#[derive(Debug)]
pub struct HardSwish;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "hard_swish",
    family: Family::Activation,
    torch: "Hardswish",
    note: "",
    onnx: &["HardSwish"],
    aten: &["hardswish.default", "hardswish_.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[],
    build: |_, _| Ok(Arc::new(HardSwish)),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::elementwise(HardSwish, d, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
};

impl Formula for HardSwish {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }
}

impl Pointwise for HardSwish {
    const SAVES: Saves = Saves::Input;

    #[inline(always)]
    fn value<R: Real>(x: R, _: [R; 2]) -> R {
        x.clone() * (x + R::of(3.0)).at_least(R::of(0.0)).at_most(R::of(6.0)) / R::of(6.0)
    }

    #[inline(always)]
    fn slope<R: Real>(x: R, _: [R; 2]) -> R {
        let (low, high) = (x.clone() + R::of(3.0), x.clone() - R::of(3.0));
        let inner = x / R::of(3.0) + R::of(0.5);
        low.choose(high.choose(R::of(1.0), inner), R::of(0.0))
    }
}
