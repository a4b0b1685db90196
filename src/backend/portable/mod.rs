//! Kernels implemented with candle's operations, for every device other than the CPU.
//!
//! Convolutions and their VJPs are computed as convolutions and matrix products. Average pooling and resizing are matrix products
//! along height and width. Max pooling is a running maximum over shifted feature maps. Only scalar sums are copied back to the
//! host.

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
