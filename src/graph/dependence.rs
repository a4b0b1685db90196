//! Which values depend on the network's input.

use super::network::Graph;
use super::node::NodeId;
use std::sync::OnceLock;

/// For each node, whether its value depends on the input; computed on first use.
#[derive(Default)]
struct Dependence(OnceLock<Vec<bool>>);

impl Graph {
    /// Whether the value of node `id` depends on the network's input. Parameters, constants and values computed only from these, such as
    /// position embeddings, do not.
    pub fn depends_on_input(&self, id: NodeId) -> bool {
        let all = self.derived::<Dependence>();
        all.0.get_or_init(|| self.dependence())[id]
    }

    fn dependence(&self) -> Vec<bool> {
        let mut depends = vec![false; self.nodes.len()];
        for (id, node) in self.nodes.iter().enumerate() {
            depends[id] = id == 0 || node.inputs.iter().any(|&i| depends[i]);
        }
        depends
    }
}
