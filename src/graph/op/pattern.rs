//! How fused runs classify operations.

use crate::backend::{Conv2d, Pool2d};
use gradscope_engine::{Activation, StridedSlice};

/// How a fused run computes an operation. Those it does not know run by themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pattern {
    /// A convolution with this stride, padding, dilation and groups.
    Conv(Conv2d),
    /// `x wᵀ + b`.
    Linear,
    /// A scale and shift per channel.
    Affine,
    /// Batch normalization in training, with this ε.
    BatchNorm(f64),
    /// Multiplication by a mask that is drawn for each batch.
    Mask,
    /// An elementwise function.
    Activation(Activation),
    /// Max pooling.
    Max(Pool2d),
    /// Average pooling, and whether padding counts.
    Mean(Pool2d, bool),
    /// Elementwise addition.
    Add,
    /// Concatenation of channels.
    Concat,
    /// A strided slice, padded with zero channels.
    Pick(StridedSlice),
    /// `(N, …)` to `(N, features)`.
    Flatten,
    /// The identity.
    Same,
    /// Any other operation.
    Other,
}
