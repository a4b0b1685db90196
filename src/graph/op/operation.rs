//! The interface of operations: shapes, forward pass and VJPs.

use super::in_training::{Dropped, Tracked};
use super::pattern::Pattern;
use super::spec::OpSpec;
use crate::backend::Accumulation;
use crate::graph::parameter::Parameter;
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use gradscope_engine::View;
use std::fmt::Debug;
use std::sync::Arc;

/// The computation of a node. Values are `(N, …)` tensors; every operation supports any `N ≥ 1`, in f32 and f64.
pub trait Op: Debug + Send + Sync {
    /// The description of this kind of operation.
    fn spec(&self) -> &'static OpSpec;

    /// The name of this kind of operation in selectors and scripts.
    fn kind(&self) -> &'static str {
        self.spec().kind
    }

    /// The output shape for inputs of shapes `x`.
    ///
    /// Errors if the operation does not accept these shapes.
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>>;

    /// The parameters that the operation needs, named `weight`, `bias` and so on within the node.
    fn params(&self) -> Vec<Parameter> {
        vec![]
    }

    /// The effective values of the parameters, with which [`forward`](Self::forward) and the VJPs compute, such as standardized weights.
    /// For most operations, they are the stored values.
    fn effective(&self, stored: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(stored.to_vec())
    }

    /// The VJP of [`effective`](Self::effective): converts gradients with respect to the effective parameters to gradients with
    /// respect to the stored ones.
    fn effective_vjp(&self, _stored: &[Tensor], dw: Vec<Tensor>) -> Result<Vec<Tensor>> {
        Ok(dw)
    }

    /// How a fused run computes the operation, given the shape `x` of the first input.
    fn pattern(&self, _x: &[usize]) -> Pattern {
        Pattern::Other
    }

    /// Where this operation's elements, of shape `shape`, are in the value that `x` views, if it only moves elements; both without the
    /// batch dimension. `None` if they must be copied. Only called for [`Pattern::View`].
    fn view(&self, _x: &View, _shape: &[usize]) -> Option<View> {
        None
    }

    /// `y = f(x; w)`: the operation's value for inputs `x` and parameters `w`.
    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor>;

    /// The VJP with respect to input `i`, `dyᵀ · ∂y/∂xᵢ`, in the shape of that input.
    fn vjp(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor>;

    /// The VJP with respect to each parameter, `dyᵀ · ∂y/∂w`, summed over the batch. Parameters that are not trained may get
    /// zeros.
    fn vjp_params(&self, _at: &dyn Saved, _w: &[Tensor], _dy: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![])
    }

    /// For a norm, the VJP with the standard deviation (or root mean square) held constant; for other operations, the ordinary VJP.
    fn vjp_detached(&self, at: &dyn Saved, w: &[Tensor], dy: &Tensor) -> Result<Tensor> {
        self.vjp(at, w, dy, 0)
    }

    /// For a softmax, the dimension over which the probabilities sum to 1.
    fn softmax_dim(&self) -> Option<usize> {
        None
    }

    /// For a pool, average pooling with the same windows; `None` for other operations.
    fn mean(&self) -> Option<Arc<dyn Op>> {
        None
    }

    /// The operation in training mode; `None` if it behaves as in evaluation.
    fn in_training(&self) -> Option<Arc<dyn Op>> {
        None
    }

    /// How the operation's convolution is computed; `None` if it is not a convolution.
    fn accumulation(&self) -> Option<Accumulation> {
        None
    }

    /// The same operation with its convolution computed in the given way; `None` if it is not a convolution.
    fn with_accumulation(&self, _accumulation: Accumulation) -> Option<Arc<dyn Op>> {
        None
    }

    /// The running statistics that training updates, if the operation has any.
    fn tracked(&self) -> Option<Tracked> {
        None
    }

    /// The dropout that the operation applies in training, if any.
    fn dropout(&self) -> Option<Dropped> {
        None
    }

    /// An operation with a bias that uses this operation's effective weights as its stored weights; `None` if there is none.
    fn with_bias(&self) -> Option<Arc<dyn Op>> {
        None
    }
}

/// The values that a run saved for the backward pass: an operation's inputs and its output.
pub trait Saved {
    /// Number of inputs of the operation.
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

    /// The operation's value.
    fn y(&self) -> Result<&Tensor>;

    /// A tensor whose elements have the same signs as those of the first input. A ReLU's VJP depends only on the signs, so fused
    /// runs keep only its output.
    fn sign(&self) -> Result<&Tensor> {
        self.x(0)
    }
}

/// The saved values of an operation, held as tensors.
#[derive(Clone, Debug)]
pub struct Values {
    /// The operation's inputs.
    pub x: Vec<Tensor>,
    /// The operation's output.
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

/// A trained parameter with this name and shape.
pub(super) fn trained(name: &str, shape: &[usize]) -> Parameter {
    Parameter { name: name.into(), shape: shape.to_vec(), trained: true }
}

/// The parameters of a norm, of shape `shape`: `weight` if `affine`, and `bias` if both `affine` and `bias`.
pub(super) fn affine_params(shape: &[usize], affine: bool, bias: bool) -> Vec<Parameter> {
    let names = ["weight", "bias"].into_iter().take(usize::from(affine) + usize::from(affine && bias));
    names.map(|name| trained(name, shape)).collect()
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

/// The sum over all dimensions except channels of a `(N, C, …)` tensor of rank 3 or more.
pub(super) fn sum_by_channel(x: &Tensor) -> Result<Tensor> {
    // Sums over one dimension after another, since summing over all at once would leave candle's fast path.
    Ok(x.flatten_from(2)?.sum(2)?.sum(0)?)
}
