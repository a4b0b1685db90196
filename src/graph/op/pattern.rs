//! How fused runs classify operations.

use crate::backend::{Conv2d, Pool2d};
use gradscope_engine::{Activation, StridedSlice};

/// How a fused run computes an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pattern {
    /// A convolution with this stride, padding, dilation and groups.
    Conv(Conv2d),
    /// A linear layer, `x wᵀ + b`.
    Linear,
    /// A scale and shift per channel.
    Affine,
    /// Batch normalization with batch statistics, as in training, and its ε.
    BatchNorm(f64),
    /// Multiplication by a dropout mask, redrawn for each batch.
    Mask,
    /// An elementwise function.
    Activation(Activation),
    /// Max pooling.
    Max(Pool2d),
    /// Average pooling, and whether padded zeros count.
    Mean(Pool2d, bool),
    /// Elementwise addition.
    Add,
    /// Concatenation of channels.
    Concat,
    /// A strided slice of the pixels, padded with zero channels.
    Pick(StridedSlice),
    /// Flattening of `(N, …)` to `(N, features)`.
    Flatten,
    /// The identity.
    Same,
    /// Any other operation; the fused run calls its own `forward`.
    Other,
}
