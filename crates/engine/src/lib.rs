//! The arithmetic of gradscope, for f32 on CPUs: convolutions, pools and linear layers on channels-last maps, with SIMD
//! chosen while the program runs and all cores at work.
//!
//! A convolution is a product of patches and weights: a block of patches is copied to where a core is fastest, and goes
//! tile by tile through weights that were packed once. The vector runs over output channels, so no map is ever
//! transposed. The gradient of the input is the same product with other weights.

pub mod simd;
pub mod team;
mod size;
mod buffer;
mod map;
mod activation;
mod lanes;
mod real;
mod tile;
mod patches;
mod given;
mod packed;
mod spectrum;
mod gemm;
mod product;
mod depthwise;
mod narrow;
mod direct;
mod winograd;
mod layout;
mod crop;
mod conv;
mod weights;
mod pool;
mod pick;
mod norm;
mod pointwise;
mod linear;

pub use activation::{Activation, Compiled, Pointwise, Saves};
pub use buffer::{Buffer, in_large_pages};
pub use conv::{Filter, Sizes, Slide, Sums};
pub use crop::crop;
pub use layout::{to_channels_first, to_channels_last, to_channels_last_scaled};
pub use linear::{linear, linear_vjp};
pub use map::{Map, MapMut};
pub use norm::{channel_products, channel_statistics, channel_sums, combine, multiply_maps};
pub use pick::Pick;
pub use pointwise::{pass, sum_pictures};
pub use pool::Pool;
pub use real::Real;
pub use tile::Epilogue;
pub use weights::WeightGradient;
