//! The multithreaded CPU kernels. In f32, they call the engine if it has a suitable kernel; otherwise, they are loops over f32 or
//! f64.

mod elementwise;
mod filters;
mod finite;
mod formula;
mod grid_sample;
mod im2col;
mod minmax;
mod nhwc;
mod conv;
mod pointwise;
mod pool;
mod resize;
mod lrp_divide;
mod sums;

pub use conv::{conv2d, conv2d_input_vjp, conv2d_weight_vjp};
pub use elementwise::{
    abs, add, affine, clamp, div, divide_no_nan, extreme_keepdim, maximum, minimum, mul, sign, square, sub,
};
pub use finite::{NotFinite, not_finite};
pub use formula::{pointwise, pointwise_vjp};
pub use grid_sample::{GridSample, affine_grid, grid_sample};
pub use lrp_divide::lrp_divide;
pub use minmax::{greatest, greatest_magnitude, least};
pub use nhwc::sizes;
pub use pointwise::{batch_norm, batch_norm_vjp, channel_affine, relu, relu_vjp};
pub use pool::{avg_pool2d, avg_pool2d_vjp, max_pool2d, max_pool2d_vjp};
pub use resize::{interpolate, interpolate_vjp};
pub use sums::{is_nonnegative, is_zero, sum, sum_keepdim, sum_of_magnitudes, sum_of_squares};
