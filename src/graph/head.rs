//! Adds a head that computes new class scores from those of a network.

use super::build::Builder;
use super::network::Graph;
use super::node::NodeId;
use anyhow::Result;

impl Graph {
    /// The same network with a head after it: `add` appends nodes and returns the one that holds the new class scores, `(N, classes)`. All
    /// nodes of the network are kept, with their names.
    pub fn with_head(&self, add: impl FnOnce(&mut Builder) -> Result<NodeId>) -> Result<Self> {
        let mut builder = Builder::after(self);
        let head = add(&mut builder)?;
        builder.finish_all(head)
    }
}
