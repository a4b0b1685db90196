//! The f32 CPU kernels of gradscope: convolution, pooling, linear layers and attention on channels-last values. They are multithreaded
//! and select their SIMD instruction set at run time.
//!
//! A convolution is a matrix product of patches and weights. A block of patches is copied into the cache and multiplied, tile by
//! tile, by prepacked weights. Kernels are vectorized over output channels, so feature maps are never transposed. The input
//! gradient is the same product with transposed weights.
//!
//! Products can also be computed in bf16 ([`Algorithm::Bf16`]): values stay f32 in memory, and patches and weights are rounded to pairs of
//! bf16 values of two successive terms of a sum. A pair fills a 32-bit lane, so both kinds of products share all loops.

mod bf16;
pub mod simd;
pub mod thread_team;
mod size;
mod buffer;
mod map;
mod activation;
mod lanes;
mod transpose;
mod norm;
mod gate;
mod real;
mod tile;
mod patch;
mod outer_products;
mod im2col;
mod weight_view;
mod packed;
mod winograd_weights;
mod gemm;
mod product;
mod depthwise;
mod few_channels;
mod direct;
mod winograd;
mod layout;
mod crop;
mod conv;
mod winograd_gradient;
mod row_gradient;
mod weights;
mod pool;
mod strided_slice;
mod pointwise;
mod linear;
mod view;
mod matmul;
mod softmax;
mod row_norm;

pub use activation::{Activation, Compiled, Pointwise, Saves};
pub use buffer::{Buffer, in_large_pages};
pub use conv::{Algorithm, Filter, Sizes, Slide};
pub use crop::crop;
pub use gate::{gate_vjp, multiply_maps};
pub use layout::{to_channels_first, to_channels_last, to_channels_last_scaled};
pub use linear::{linear, linear_vjp, linear_weight_gradient};
pub use map::{Map, MapMut};
pub use matmul::matmul;
pub use norm::{channel_products, channel_statistics, channel_sums, combine};
pub use pointwise::{pass, sum_pictures};
pub use pool::Pool;
pub use real::Real;
pub use row_norm::RowNorm;
pub use softmax::{softmax, softmax_vjp};
pub use strided_slice::StridedSlice;
pub use tile::Epilogue;
pub use view::{View, add_view, gather, scatter_add};
pub use weights::WeightGradient;
