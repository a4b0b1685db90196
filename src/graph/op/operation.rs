//! What an operation computes, forward and back.

use super::in_training::{Dropped, Tracked};
use super::pattern::Pattern;
use super::spec::OpSpec;
use crate::graph::parameter::Parameter;
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use std::fmt::Debug;
use std::sync::Arc;

/// What a node computes. Values are `(N, …)` tensors; every operation works for any `N ≥ 1` and for f32 and f64.
pub trait Op: Debug + Send + Sync {
    /// What is known of its kind.
    fn spec(&self) -> &'static OpSpec;

    /// What selectors and scripts call its kind.
    fn kind(&self) -> &'static str {
        self.spec().kind
    }

    /// The shape of the value for inputs of these shapes, or why they do not fit.
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>>;

    /// The parameters it needs, by their names within the node: `weight`, `bias`, …
    fn params(&self) -> Vec<Parameter> {
        vec![]
    }

    /// What it is to a fused run, for a first input of this shape.
    fn pattern(&self, _x: &[usize]) -> Pattern {
        Pattern::Other
    }

    /// `y = f(x; w)`.
    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor>;

    /// `dyᵀ · ∂y/∂xᵢ`, of the shape of `x[i]`.
    fn vjp(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor>;

    /// `dyᵀ · ∂y/∂w` for each parameter, summed over the batch; those that are not trained may be left as zeros.
    fn vjp_params(&self, _at: &dyn Saved, _w: &[Tensor], _dy: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![])
    }

    /// A pool with the same windows that takes their mean.
    fn mean(&self) -> Option<Arc<dyn Op>> {
        None
    }

    /// The operation as it is in training, where that is another one.
    fn in_training(&self) -> Option<Arc<dyn Op>> {
        None
    }

    /// The running statistics that training updates, if it has any.
    fn tracked(&self) -> Option<Tracked> {
        None
    }

    /// What training drops of its value, if it does.
    fn dropout(&self) -> Option<Dropped> {
        None
    }

    /// The same operation with a bias, for those that may have one.
    fn with_bias(&self) -> Option<Arc<dyn Op>> {
        None
    }
}

/// What a run left for the way back: the values that an operation read and gave.
pub trait Saved {
    /// Number of inputs.
    fn reads(&self) -> usize;

    /// The value of input `i`.
    ///
    /// # Panics
    /// Where there is no such input.
    fn x(&self, i: usize) -> Result<&Tensor>;

    /// The shape of input `i`.
    ///
    /// # Panics
    /// Where there is no such input.
    fn dims(&self, i: usize) -> Result<Vec<usize>>;

    /// The value given.
    fn y(&self) -> Result<&Tensor>;

    /// A value that is positive where the first input is: all that a ReLU needs. Fused runs keep only a ReLU's output.
    fn sign(&self) -> Result<&Tensor> {
        self.x(0)
    }
}

/// Values at hand.
#[derive(Clone, Debug)]
pub struct Values {
    /// The inputs.
    pub x: Vec<Tensor>,
    /// The value given.
    pub y: Tensor,
}

impl Saved for Values {
    fn reads(&self) -> usize {
        self.x.len()
    }

    fn x(&self, i: usize) -> Result<&Tensor> {
        Ok(&self.x[i])
    }

    fn dims(&self, i: usize) -> Result<Vec<usize>> {
        Ok(self.x[i].dims().to_vec())
    }

    fn y(&self) -> Result<&Tensor> {
        Ok(&self.y)
    }
}

/// A parameter that training changes.
pub(super) fn trained(name: &str, shape: &[usize]) -> Parameter {
    Parameter { name: name.into(), shape: shape.to_vec(), trained: true }
}

/// Dimension 1 of the first value that is read.
pub(super) fn channels(x: &[&[usize]]) -> Result<usize> {
    x.first().and_then(|shape| shape.get(1)).copied().context("it reads a value without channels")
}

/// The `(N, C, H, W)` of the only input.
pub(super) fn maps(x: &[&[usize]]) -> Result<[usize; 4]> {
    ensure!(x.len() == 1 && x[0].len() == 4, "it reads one (N, C, H, W) value, got {x:?}");
    Ok([x[0][0], x[0][1], x[0][2], x[0][3]])
}

/// The sum over all but channels, of `(N, C, …)` with a dimension or more behind them.
pub(super) fn sum_by_channel(x: &Tensor) -> Result<Tensor> {
    // One dimension after another: summing over all at once, candle leaves its fast path.
    Ok(x.flatten_from(2)?.sum(2)?.sum(0)?)
}
