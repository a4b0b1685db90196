//! A network as data: named nodes, their operations, shapes and parameters.
//!
//! Node names are PyTorch's module names (`features.3.squeeze`), so that weight files fit without renaming.
//! The first node is always `input`, a picture of `(N, C, H, W)` values in `[0, 1]`; the model's normalization is a
//! node like any other, so every method works in pixel space for every model. How a network runs is `exec`'s.

pub mod op;
mod build;
mod class_scores;
mod derived;
mod fold;
mod network;
mod node;
mod parameter;
mod scores;
mod sizes;

pub use build::Builder;
pub use network::Graph;
pub use node::{Node, NodeId};
pub use parameter::Parameter;
pub use scores::{Scores, named};
