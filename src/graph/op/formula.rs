//! Operations defined by an elementwise formula.

use super::operation::{Op, Saved};
use super::pattern::Pattern;
use super::spec::OpSpec;
use crate::backend;
use anyhow::Result;
use candle_core::Tensor;
use gradscope_engine::{Activation, Compiled, Pointwise, Saves};
use std::fmt::Debug;

/// An activation defined by a single formula for all dtypes and devices, whether it runs on its own or is fused into the
/// preceding step.
pub trait Formula: Pointwise + Debug + Send + Sync + Sized {
    /// The formula, compiled for every instruction set.
    const COMPILED: &'static Compiled = &Compiled::of::<Self>();

    /// The description of this kind of operation.
    fn spec(&self) -> &'static OpSpec;

    /// The formula's two parameters; unused ones are 0.
    fn parameters(&self) -> [f64; 2] {
        [0.0; 2]
    }

    /// The formula with its parameters in f32, as applied by kernels.
    fn activation(&self) -> Activation {
        Activation::Other(Self::COMPILED, self.parameters().map(|p| p as f32))
    }
}

impl<F: Formula> Op for F {
    fn spec(&self) -> &'static OpSpec {
        Formula::spec(self)
    }

    fn pattern(&self, _: &[usize]) -> Pattern {
        Pattern::Activation(self.activation())
    }

    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>> {
        Ok(x[0].to_vec())
    }

    fn forward(&self, x: &[&Tensor], _: &[Tensor]) -> Result<Tensor> {
        backend::pointwise::<F>(x[0], self.activation(), self.parameters())
    }

    fn vjp(&self, at: &dyn Saved, _: &[Tensor], dy: &Tensor, _: usize) -> Result<Tensor> {
        let saved = if F::SAVES == Saves::Input { at.x(0)? } else { at.y()? };
        backend::pointwise_vjp::<F>(dy, saved, self.activation(), self.parameters())
    }
}
