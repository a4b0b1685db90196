//! Zero ablation: a copy of a network in which some entries of values are zero.

use super::build::Builder;
use super::derived::Derived;
use super::network::Graph;
use super::node::NodeId;
use super::op::Ablate;
use anyhow::Result;
use std::collections::BTreeMap;

/// Indices to set to zero, by node and dimension.
pub type AblatedIndices = BTreeMap<(NodeId, usize), Vec<usize>>;

impl Graph {
    /// The same network, in which all readers of a node see zeros at the given indices of its value. The node keeps its name and its
    /// value; the readers read a node `NAME.ablated` after it.
    ///
    /// Errors if an index is out of range.
    pub fn ablated(&self, all: &AblatedIndices) -> Result<Self> {
        let mut builder = Builder::empty();
        // For each node of this network, the node that stands for its value in the new one.
        let mut read = Vec::with_capacity(self.nodes.len());
        for (id, node) in self.nodes.iter().enumerate() {
            let mut node = node.clone();
            node.inputs.iter_mut().for_each(|input| *input = read[*input]);
            let mut last = builder.push(node);
            for (&(_, dim), indices) in all.range((id, 0)..(id + 1, 0)) {
                let name = self.free_name(&builder, id);
                last = builder.add(&name, Ablate { dim, indices: indices.clone() }, &[last])?;
            }
            read.push(last);
        }
        let (output, logits) = (read[self.output], read[self.logits]);
        Ok(Self { nodes: builder.into_nodes(), output, logits, scores: self.scores, derived: Derived::default() })
    }

    /// A name for the next ablated copy of node `id` that neither network uses.
    fn free_name(&self, builder: &Builder, id: NodeId) -> String {
        let own = &self.nodes[id].name;
        let names = (1..).map(|n| if n == 1 { format!("{own}.ablated") } else { format!("{own}.ablated{n}") });
        let used = |name: &String| self.nodes.iter().chain(builder.nodes()).any(|node| node.name == *name);
        names.into_iter().find(|name| !used(name)).unwrap_or_default()
    }
}
