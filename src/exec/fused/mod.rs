//! Fused runs in f32 on the CPU. Maps are stored channels last, convolutions apply the following batch norm, sum and activation,
//! concatenations are written in place, and buffers are reused.
//!
//! A plan is made once per input size, and a [`FusedRun`] runs one batch through it. The value of every node can be read as a
//! channels-first tensor; values inside a step are computed on demand.

mod backward;
mod buffer;
mod cache;
mod forward;
mod incremental;
mod layout;
mod plan;
mod receptive_range;
mod segment;
mod step;

pub use backward::{GradientTargets, Gradients};
pub(super) use cache::plan;
pub use forward::FusedRun;
pub use forward::Masks;
