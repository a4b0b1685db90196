//! The Gaussian error linear unit.

use super::argument::Argument;
use super::formula::Formula;
use super::spec::{Case, DefaultRule, Family, Inputs, OpSpec};
use crate::words;
use anyhow::bail;
use gradscope_engine::{Pointwise, Real, Saves};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};
use std::sync::Arc;

/// `x Φ(x)`, where `Φ` is the Gaussian distribution function (Hendrycks & Gimpel 2016, arXiv:1606.08415).
#[derive(Debug)]
pub struct Gelu;

/// `0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))`, the tanh approximation of [`Gelu`]; PyTorch's `approximate="tanh"`.
#[derive(Debug)]
pub struct GeluTanh;

pub(super) static SPEC: OpSpec = OpSpec {
    kind: "gelu",
    family: Family::Activation,
    torch: "GELU",
    note: "",
    onnx: &["Gelu"],
    aten: &["gelu.default"],
    aliases: &[],
    inputs: Inputs::One,
    arguments: &[Argument::text("approximate", "none")],
    build: |a, _| match a.text("approximate")? {
        "none" => Ok(Arc::new(Gelu)),
        "tanh" => Ok(Arc::new(GeluTanh)),
        other => bail!("\"approximate\" of gelu must be \"none\" or \"tanh\", got \"{}\"", words::name(other)),
    },
    from_shapes: None,
    relevance: DefaultRule::Pass,
    draw: |d| if d.coin() { Case::new(Gelu, &[&d.map()]) } else { Case::new(GeluTanh, &[&d.map()]) },
};

impl Formula for Gelu {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }
}

impl Pointwise for Gelu {
    const SAVES: Saves = Saves::Input;

    #[inline(always)]
    fn value<R: Real>(x: R, _: [R; 2]) -> R {
        R::of(0.5) * x.clone() * (R::of(1.0) + (x * R::of(FRAC_1_SQRT_2)).erf())
    }

    #[inline(always)]
    fn slope<R: Real>(x: R, _: [R; 2]) -> R {
        let density = R::of(0.5 * FRAC_1_SQRT_2 * FRAC_2_SQRT_PI) * (R::of(-0.5) * x.clone().square()).exp();
        R::of(0.5) * (R::of(1.0) + (x.clone() * R::of(FRAC_1_SQRT_2)).erf()) + x * density
    }
}

impl Formula for GeluTanh {
    fn spec(&self) -> &'static OpSpec {
        &SPEC
    }
}

/// Uses `0.5 (1 + tanh u) = σ(2u)`, which keeps full relative precision when `tanh u` is close to −1.
impl Pointwise for GeluTanh {
    const SAVES: Saves = Saves::Input;

    #[inline(always)]
    fn value<R: Real>(x: R, _: [R; 2]) -> R {
        x.clone() * twice(x).sigmoid()
    }

    #[inline(always)]
    fn slope<R: Real>(x: R, _: [R; 2]) -> R {
        let steep = R::of(2.0 * SQRT_2_PI) * (R::of(1.0) + R::of(3.0 * CUBIC) * x.clone().square());
        let (gate, rest) = (twice(x.clone()).sigmoid(), (-twice(x.clone())).sigmoid());
        gate.clone() * (R::of(1.0) + x * rest * steep)
    }
}

const SQRT_2_PI: f64 = FRAC_1_SQRT_2 * FRAC_2_SQRT_PI;
const CUBIC: f64 = 0.044_715;

/// `2u`, where `u = √(2/π) (x + 0.044715 x³)` is the argument of the tanh.
#[inline(always)]
fn twice<R: Real>(x: R) -> R {
    R::of(2.0 * SQRT_2_PI) * (x.clone() + R::of(CUBIC) * x.clone() * x.square())
}
