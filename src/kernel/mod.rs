//! Convolution, pooling and resizing with their VJPs, on candle tensors of f32 or f64.
//!
//! Values are NCHW. On the CPU each kernel reads its inputs contiguously, splits its work over all cores, and sums in an
//! order that does not depend on how many there are, so that the same run gives the same bits. On other devices
//! [`portable`] says the same in candle's operations; what is rare is computed on the CPU and brought back.

mod access;
mod broadcast;
mod conv;
#[cfg(feature = "cudnn")]
mod cuda;
mod elementwise;
mod extremes;
mod fast;
mod filters;
mod finite;
mod formula;
mod grid;
mod im2col;
mod lstsq;
mod memory;
mod pca;
mod pointwise;
mod pool;
pub mod portable;
mod product;
mod resize;
mod shares;
mod slic;
mod sums;
mod window;

pub use access::{Real, read, tensor, with};
pub use broadcast::{broadcast_shape, sum_to};
pub use conv::{Conv2d, conv2d, conv2d_input_vjp, conv2d_weight_vjp};
pub use elementwise::{
    abs, add, affine, clamp, div, divide_no_nan, extreme_keepdim, maximum, minimum, mul, sign, square, sub,
};
pub use extremes::{greatest, greatest_magnitude, least};
pub use fast::{exact, exactly, set_exact, sizes, sums};
pub use finite::{NotFinite, not_finite};
pub use formula::{pointwise, pointwise_vjp};
pub use gradscope_engine::in_large_pages;
pub use grid::{GridSample, affine_grid, grid_sample};
pub use lstsq::{Solution, lstsq};
pub use memory::{keep_freed_memory, keep_freed_memory_of};
pub use pca::{Components, leading, pca_lowrank};
pub use pointwise::{batch_norm, batch_norm_vjp, channel_affine, relu, relu_vjp};
pub use pool::{avg_pool2d, avg_pool2d_vjp, divisor, max_pool2d, max_pool2d_vjp};
pub use product::matmul;
pub use resize::{Resize, interpolate, interpolate_vjp};
pub use shares::{Shares, shares};
pub use slic::{grid, slic};
pub use sums::{is_nonnegative, is_zero, sum, sum_keepdim, sum_of_magnitudes, sum_of_squares};
pub use window::{Pool2d, Window};
