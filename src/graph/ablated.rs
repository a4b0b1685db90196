//! Zero ablation: a copy of a network in which some entries of values are zero.

use super::network::Graph;
use super::node::NodeId;
use super::op::{Ablate, Op};
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Indices to set to zero, by node and dimension.
pub type AblatedIndices = BTreeMap<(NodeId, usize), BTreeSet<usize>>;

impl Graph {
    /// The same network, in which all readers of a node see zeros at the given indices of its value. The node keeps its name and its
    /// value; the readers read a node `NAME.ablated` after it.
    ///
    /// Errors if an index is out of range.
    pub fn ablated(&self, all: &AblatedIndices) -> Result<Self> {
        let mut graph = self.clone();
        // Later nodes first, so that the ids of the others stay valid.
        for (&(id, dim), indices) in all.iter().rev() {
            let (own, op) = (&self.nodes[id], Ablate { dim, indices: indices.iter().copied().collect() });
            op.shape(&[&own.shape])?;
            let name = match all.range((id, 0)..(id, dim)).count() {
                0 => format!("{}.ablated", own.name),
                before => format!("{}.ablated{}", own.name, before + 1),
            };
            graph.insert_after(id, &name, Arc::new(op));
        }
        Ok(graph)
    }
}
