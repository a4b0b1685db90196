//! The exponential linear unit.

use super::argument::Argument;
use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use gradscope_engine::{Pointwise, Real, Saves};
use std::sync::Arc;

/// `x` if positive, else `alpha (eˣ − 1)` (Clevert et al. 2016, arXiv:1511.07289).
#[derive(Debug)]
pub struct Elu {
    /// `α`; the function tends to `−α` for `x → −∞`.
    pub alpha: f64,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "elu",
    family: Family::Activation,
    torch: "ELU",
    note: "",
    onnx: &["Elu"],
    aten: &["elu.default", "elu_.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::float("alpha", 1.0).by_place()],
    build: |a, _| Ok(Arc::new(Elu { alpha: a.float("alpha")? })),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::elementwise(Elu { alpha: 1.5 }, d, |x| if x > 0.0 { x } else { 1.5 * (x.exp() - 1.0) }),
};

impl Formula for Elu {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn parameters(&self) -> [f64; 2] {
        [self.alpha, 0.0]
    }
}

impl Pointwise for Elu {
    const SAVES: Saves = Saves::Input;

    #[inline(always)]
    fn value<R: Real>(x: R, [alpha, _]: [R; 2]) -> R {
        let below = alpha * (x.clone().at_most(R::of(0.0)).exp() - R::of(1.0));
        x.clone().choose(x, below)
    }

    #[inline(always)]
    fn slope<R: Real>(x: R, [alpha, _]: [R; 2]) -> R {
        let below = alpha * x.clone().at_most(R::of(0.0)).exp();
        x.choose(R::of(1.0), below)
    }
}
