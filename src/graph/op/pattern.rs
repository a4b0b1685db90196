//! What a fused run has to know of an operation.

use crate::backend::{Conv2d, Pool2d};
use gradscope_engine::{Activation, StridedSlice};

/// What a fused run has to know of an operation; it computes the others one by one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pattern {
    /// A convolution with these strides.
    Conv(Conv2d),
    /// `x wᵀ + b`.
    Linear,
    /// A factor and a summand a channel.
    Affine,
    /// The same of batch normalization in training: by the batch's own statistics, with this added to the variance.
    BatchNorm(f64),
    /// Times a mask that is drawn for each batch.
    Mask,
    /// A function of each number alone.
    Activation(Activation),
    /// The greatest of each window.
    Max(Pool2d),
    /// The mean of each window, its padding included or not.
    Mean(Pool2d, bool),
    /// A sum of values.
    Add,
    /// Channels one behind the other.
    Concat,
    /// Some pixels, among channels of zeros.
    Pick(StridedSlice),
    /// `(N, …)` to `(N, features)`.
    Flatten,
    /// The value that it reads.
    Same,
    /// Anything else.
    Other,
}
