//! Inserts a node into a finished network.

use super::network::Graph;
use super::node::{Node, NodeId};
use super::op::Op;
use std::sync::Arc;

impl Graph {
    /// Inserts a shape-preserving node between node `id` and the nodes that read it.
    pub(super) fn insert_after(&mut self, id: NodeId, name: &str, op: Arc<dyn Op>) {
        for node in &mut self.nodes {
            node.inputs.iter_mut().filter(|input| **input >= id).for_each(|input| *input += 1);
        }
        let taken = |name: &String| self.nodes.iter().any(|node| node.name == *name);
        let names = std::iter::once(name.to_string()).chain((1..).map(|n| format!("{name}_{n}")));
        let name = names.into_iter().find(|name| !taken(name)).unwrap_or_default();
        let shape = self.nodes[id].shape.clone();
        self.nodes.insert(id + 1, Node::new(name, op, vec![id], shape));
        for end in [&mut self.output, &mut self.logits] {
            *end += usize::from(*end >= id);
        }
    }
}
