//! Operation kinds, one family a file; `forward` and `vjp` stand next to each other.

mod input;
mod pointwise;

pub use input::{Input, Normalize};
pub use pointwise::{LeakyRelu, Relu, Sigmoid, Tanh};

use super::node::Parameter;
use super::trace::Site;
use anyhow::Result;
use candle_core::Tensor;
use std::fmt::Debug;

/// What a node computes. Values are `(N, …)` tensors; every operation works for any `N ≥ 1` and for f32 and f64.
pub trait Op: Debug + Send + Sync {
    /// The kind as selectors and scripts call it: `conv`, `max_pool`, …
    fn kind(&self) -> &'static str;

    /// The shape of the value for inputs of these shapes, or why they do not fit.
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>>;

    /// The parameters it needs, by their names within the node: `weight`, `bias`, …
    fn params(&self) -> Vec<Parameter> {
        vec![]
    }

    /// `y = f(x; w)`.
    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor>;

    /// `dyᵀ · ∂y/∂xᵢ`, of the shape of `x[i]`.
    fn vjp(&self, at: &Site, w: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor>;

    /// `dyᵀ · ∂y/∂w` for each parameter; those that are not trained may be left as zeros.
    fn vjp_params(&self, _at: &Site, _w: &[Tensor], _dy: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![])
    }
}
