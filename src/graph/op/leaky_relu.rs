//! ReLU with a slope for negative inputs.

use super::argument::Argument;
use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use gradscope_engine::{Pointwise, Real, Saves};
use std::sync::Arc;

/// `x` if positive, else `slope · x`.
#[derive(Debug)]
pub struct LeakyRelu {
    /// Slope for negative inputs.
    pub slope: f64,
}

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "leaky_relu",
    family: Family::Activation,
    torch: "LeakyReLU",
    note: "",
    onnx: &["LeakyRelu"],
    aten: &["leaky_relu.default", "leaky_relu_.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::float("negative_slope", 0.01).by_place().or(&["slope", "alpha"])],
    build: |a, _| Ok(Arc::new(LeakyRelu { slope: a.float("negative_slope")? })),
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| Case::elementwise(LeakyRelu { slope: 0.1 }, d, |x| x.max(0.1 * x)),
};

impl Formula for LeakyRelu {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }

    fn parameters(&self) -> [f64; 2] {
        [self.slope, 0.0]
    }
}

impl Pointwise for LeakyRelu {
    const SAVES: Saves = Saves::Input;

    #[inline(always)]
    fn value<R: Real>(x: R, [slope, _]: [R; 2]) -> R {
        x.clone().choose(x.clone(), slope * x)
    }

    #[inline(always)]
    fn slope<R: Real>(x: R, [slope, _]: [R; 2]) -> R {
        x.choose(R::of(1.0), slope)
    }
}
