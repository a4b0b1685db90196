//! The kernels phrased in candle's own operations, which run on every device: what other devices than the CPU compute with.
//!
//! Convolutions and their VJPs are convolutions and matrix products, mean pooling and resizing are matrix products along
//! either side, max pooling is a running maximum over shifted maps. Nothing here reads numbers back but sums.

mod conv;
mod formula;
mod pool;
mod pointwise;
mod shift;
mod separable;
mod sums;

pub use conv::{conv2d, conv2d_input_vjp, conv2d_weight_vjp};
pub use formula::Portable;
pub use pointwise::{batch_norm, batch_norm_vjp, channel_affine, relu, relu_vjp};
pub use pool::{max_pool2d, max_pool2d_vjp};
pub use separable::{avg_pool2d, avg_pool2d_vjp, interpolate, interpolate_vjp};
pub use sums::{is_nonnegative, is_zero, lrp_divide, sum};
