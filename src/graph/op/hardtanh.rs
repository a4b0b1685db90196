//! Clamping to an interval.

use super::argument::Argument;
use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use gradscope_engine::{Pointwise, Real, Saves};
use std::sync::Arc;

/// `min(max(x, min_val), max_val)`; PyTorch's `Hardtanh` and `clamp`.
#[derive(Debug)]
pub struct Hardtanh {
    /// Lower bound.
    pub min_val: f64,
    /// Upper bound.
    pub max_val: f64,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "hardtanh",
    family: Family::Activation,
    torch: "Hardtanh",
    note: "",
    onnx: &["Clip"],
    aten: &["hardtanh.default", "hardtanh_.default", "clamp.default", "clamp_.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[
        Argument::float("min_val", -1.0).by_place().or(&["min"]),
        Argument::float("max_val", 1.0).by_place().or(&["max"]),
    ],
    build: |a, _| Ok(Arc::new(Hardtanh { min_val: a.float("min_val")?, max_val: a.float("max_val")? })),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::elementwise(Hardtanh { min_val: -0.5, max_val: 0.75 }, d, |x| x.clamp(-0.5, 0.75)),
};

impl Formula for Hardtanh {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn parameters(&self) -> [f64; 2] {
        [self.min_val, self.max_val]
    }
}

impl Pointwise for Hardtanh {
    const SAVES: Saves = Saves::Input;

    #[inline(always)]
    fn value<R: Real>(x: R, [low, high]: [R; 2]) -> R {
        x.at_least(low).at_most(high)
    }

    #[inline(always)]
    fn slope<R: Real>(x: R, [low, high]: [R; 2]) -> R {
        let above = (x.clone() - low).choose(R::of(1.0), R::of(0.0));
        (high - x).choose(above, R::of(0.0))
    }
}
