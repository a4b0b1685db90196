//! Convolution, pooling, resizing and their VJPs on candle tensors in f32 or f64.
//!
//! The layout is NCHW. On the CPU (`cpu`), each kernel reads its inputs contiguously, splits its work over all cores, and sums in an order
//! that does not depend on their number, so results are bit-identical across runs. On other devices, [`portable`] computes the same
//! functions with candle's operations. Rarely used operations run on the CPU, and their results are copied back.

mod device;
mod accumulation;
mod allocator;
mod storage;
mod window;
mod taps;
mod shares;
#[cfg(feature = "cudnn")]
mod cuda;
pub mod portable;
mod cpu;
mod dispatch;
mod broadcast;
mod product;
mod tokens;

pub use accumulation::Accumulation;
pub use allocator::{keep_freed_memory, keep_freed_memory_of};
pub use broadcast::{broadcast_shape, sum_to};
pub use cpu::{
    GridSample, NotFinite, abs, add, affine, affine_grid, clamp, div, divide_no_nan, extreme_keepdim, greatest,
    greatest_magnitude, grid_sample, least, maximum, minimum, mul, not_finite, sign, sizes, square, sub, sum_keepdim,
};
pub use device::runs_portably;
pub use dispatch::{
    avg_pool2d, avg_pool2d_vjp, batch_norm, batch_norm_vjp, channel_affine, conv2d, conv2d_input_vjp,
    conv2d_weight_vjp, interpolate, interpolate_vjp, is_nonnegative, is_zero, lrp_divide, max_pool2d, max_pool2d_vjp,
    pointwise, pointwise_vjp, relu, relu_vjp, sum, sum_of_magnitudes, sum_of_squares,
};
pub use gradscope_engine::in_large_pages;
pub use product::matmul;
pub use shares::Shares;
pub use storage::{Real, read, tensor, with};
pub(crate) use storage::{by_type, unsupported};
pub use taps::Resize;
pub use tokens::{RowNorm, batched_matmul, softmax, softmax_vjp};
pub use window::{Conv2d, Pool2d, Window, divisor};
