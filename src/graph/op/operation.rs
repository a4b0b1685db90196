//! The interface of operations: shapes, forward and VJPs.

use super::in_training::{Dropped, Tracked};
use super::pattern::Pattern;
use super::spec::OpSpec;
use crate::graph::parameter::Parameter;
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use std::fmt::Debug;
use std::sync::Arc;

/// The computation of a node. Values are `(N, …)` tensors; every operation supports any `N ≥ 1`, in f32 and f64.
pub trait Op: Debug + Send + Sync {
    /// The description of its kind.
    fn spec(&self) -> &'static OpSpec;

    /// The name of its kind in selectors and scripts.
    fn kind(&self) -> &'static str {
        self.spec().kind
    }

    /// The shape of the value for inputs of these shapes.
    ///
    /// Errors if the operation does not accept them.
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>>;

    /// Its parameters, by their names within the node: `weight`, `bias`, …
    fn params(&self) -> Vec<Parameter> {
        vec![]
    }

    /// How a fused run computes it, given the shape of the first input.
    fn pattern(&self, _x: &[usize]) -> Pattern {
        Pattern::Other
    }

    /// `y = f(x; w)`.
    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor>;

    /// `dyᵀ · ∂y/∂xᵢ`, of the shape of `x[i]`.
    fn vjp(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor>;

    /// `dyᵀ · ∂y/∂w` for each parameter, summed over the batch; zeros for parameters that are not trained are allowed.
    fn vjp_params(&self, _at: &dyn Saved, _w: &[Tensor], _dy: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![])
    }

    /// For pools: average pooling with the same windows.
    fn mean(&self) -> Option<Arc<dyn Op>> {
        None
    }

    /// The operation in training mode, if it differs.
    fn in_training(&self) -> Option<Arc<dyn Op>> {
        None
    }

    /// The running statistics that training updates, if it has any.
    fn tracked(&self) -> Option<Tracked> {
        None
    }

    /// Its dropout, if it has any.
    fn dropout(&self) -> Option<Dropped> {
        None
    }

    /// The same operation with a bias, if it can have one.
    fn with_bias(&self) -> Option<Arc<dyn Op>> {
        None
    }
}

/// The values that a run saved for the backward pass: an operation's inputs and its output.
pub trait Saved {
    /// Number of inputs.
    fn reads(&self) -> usize;

    /// The value of input `i`.
    ///
    /// # Panics
    /// If there is no such input.
    fn x(&self, i: usize) -> Result<&Tensor>;

    /// The shape of input `i`.
    ///
    /// # Panics
    /// If there is no such input.
    fn dims(&self, i: usize) -> Result<Vec<usize>>;

    /// The output.
    fn y(&self) -> Result<&Tensor>;

    /// A value with the sign of the first input, which is all that a ReLU needs: fused runs keep only a ReLU's output.
    fn sign(&self) -> Result<&Tensor> {
        self.x(0)
    }
}

/// Saved values that are held directly.
#[derive(Clone, Debug)]
pub struct Values {
    /// The inputs.
    pub x: Vec<Tensor>,
    /// The output.
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

/// A trained parameter.
pub(super) fn trained(name: &str, shape: &[usize]) -> Parameter {
    Parameter { name: name.into(), shape: shape.to_vec(), trained: true }
}

/// The number of channels, dimension 1, of the first input.
pub(super) fn channels(x: &[&[usize]]) -> Result<usize> {
    x.first().and_then(|shape| shape.get(1)).copied().context("expects an input with channels")
}

/// The `(N, C, H, W)` shape of the only input.
pub(super) fn maps(x: &[&[usize]]) -> Result<[usize; 4]> {
    ensure!(x.len() == 1 && x[0].len() == 4, "expects one (N, C, H, W) input, got {x:?}");
    Ok([x[0][0], x[0][1], x[0][2], x[0][3]])
}

/// The sum over all dimensions but channels of `(N, C, …)` with rank 3 or more.
pub(super) fn sum_by_channel(x: &Tensor) -> Result<Tensor> {
    // One dimension after another: summing over all at once falls off candle's fast path.
    Ok(x.flatten_from(2)?.sum(2)?.sum(0)?)
}
