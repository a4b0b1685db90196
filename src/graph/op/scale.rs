//! Scaling and shifting by constants.

use super::argument::Argument;
use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use gradscope_engine::{Pointwise, Real, Saves};
use std::sync::Arc;

/// `factor · x + shift`.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The factor by which the input is multiplied.
    pub factor: f64,
    /// The constant that is added.
    pub shift: f64,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "scale",
    family: Family::Elementwise,
    torch: "x * factor + shift",
    note: "",
    onnx: &[],
    aten: &[],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::required("factor"), Argument::float("shift", 0.0)],
    build: |a, _| Ok(Arc::new(Scale { factor: a.float("factor")?, shift: a.float("shift")? })),
    from_shapes: None,
    relevance: DefaultRule::Share,
    draw: |d| Case::new(Scale { factor: -1.5, shift: d.between(0, 4) as f64 / 4.0 }, &[&d.map()]),
};

impl Formula for Scale {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn parameters(&self) -> [f64; 2] {
        [self.factor, self.shift]
    }
}

impl Pointwise for Scale {
    const SAVES: Saves = Saves::Output;

    #[inline(always)]
    fn value<R: Real>(x: R, [factor, shift]: [R; 2]) -> R {
        factor * x + shift
    }

    #[inline(always)]
    fn slope<R: Real>(_: R, [factor, _]: [R; 2]) -> R {
        factor
    }
}
