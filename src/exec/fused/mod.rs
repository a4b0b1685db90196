//! Fused f32 forward and backward passes on the CPU. Feature maps are stored channels last; the batch norm, sum and activation
//! after a convolution are fused into the convolution; concatenations are written in place; and buffers are reused.
//!
//! A plan is built once per input size, and a [`FusedRun`] executes it on one batch. The value of every node can be read as a
//! channels-first tensor. Values inside a step are computed on demand.

mod backward;
mod buffer;
mod cache;
mod forward;
mod incremental;
mod layout;
mod packed;
mod plan;
mod receptive_range;
mod rerun;
mod segment;
mod step;

pub use backward::{GradientTargets, Gradients};
pub(super) use cache::plan;
pub use forward::FusedRun;
pub use forward::Masks;
