//! A network as data: named nodes, their operations, shapes and parameters.
//!
//! Node names are PyTorch's module names (`features.3.squeeze`), so weight files load without renaming. The first node is always
//! `input`, a batch of pictures `(N, C, H, W)` in `[0, 1]`. Normalization is a node of the network, so every method works in
//! pixel space for every model. The module `exec` runs networks.

pub mod op;
mod ablated;
mod attention;
mod build;
mod class_scores;
mod dependence;
mod derived;
mod effective;
mod fold;
mod head;
mod insert;
mod maps;
mod network;
mod node;
mod normalization;
mod parameter;
mod scores;
mod sizes;

pub use ablated::AblatedIndices;
pub use attention::{Attention, AttentionSizes};
pub use build::Builder;
pub use maps::MapLayout;
pub use network::Graph;
pub use node::{Node, NodeId};
pub use parameter::Parameter;
pub use scores::{Scores, named};
