//! Fused runs in f32 on the CPU: channels last, with batch norms, activations and sums computed by the convolution before
//! them, concatenations written where they are read, and memory used again.
//!
//! A plan is made once for inputs of one size; a [`FusedRun`] is one batch through it. Any node's value can be read, channels
//! first as any other tensor; values inside a step are computed when asked for.

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
