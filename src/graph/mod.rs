//! A network as a graph of named nodes: what a `models/` script builds and a trace runs through.
//!
//! Node names are PyTorch's module names (`features.3.squeeze`), so that weight files fit without renaming.
//! The first node is always `input`, a picture of `(N, C, H, W)` values in `[0, 1]`; the model's normalisation is a
//! node like any other, so every method works in pixel space for every model.

pub mod op;
mod build;
mod node;
mod sizes;
mod scores;
mod account;
mod trace;
mod edit;
mod covered;
mod finite;
mod fold;
mod made;
mod plan;

pub use account::Account;
pub use build::Builder;
pub use covered::Cover;
pub use edit::Edit;
pub use finite::{ScoresNotFinite, named};
pub use node::{Graph, Node, NodeId, Parameter};
pub use plan::Run;
pub use scores::Scores;
pub use trace::{Site, TOGETHER, Trace};
