//! How the fused executor classifies operations.

use crate::backend::{Conv2d, Pool2d, Window};
use gradscope_engine::{Activation, RowNorm, StridedSlice};

/// How the fused executor computes an operation.
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
    /// Average pooling, and whether zeros in the padding are included in the mean.
    Mean(Pool2d, bool),
    /// Layer or RMS normalization over the last dimensions.
    RowNorm(RowNorm),
    /// Softmax over the last dimension.
    Softmax,
    /// The product of two values, as matrices.
    Matmul,
    /// The same elements in another shape, which [`Op::view`](super::Op::view) describes.
    View,
    /// Multiplication.
    Mul,
    /// Elementwise addition.
    Add,
    /// Addition of a value that is broadcast.
    AddBroadcast,
    /// Concatenation of channels.
    Concat,
    /// A strided slice of the pixels, padded with zero channels.
    Pick(StridedSlice),
    /// Flattening of `(N, …)` to `(N, features)`.
    Flatten,
    /// The identity.
    Same,
    /// An operation without a fused kernel, computed by its own `forward`.
    Other,
}

impl Pattern {
    /// The mean of whole feature maps, `(N, C, H, W)`, given their shape.
    pub(super) fn mean_of_maps(x: &[usize]) -> Self {
        let [_, _, h, w] = *x else { return Self::Other };
        let whole = |size: usize| Window::new(size, 1, 0, 1);
        Self::Mean(Pool2d { h: whole(h), w: whole(w), ceil_mode: false }, false)
    }
}
