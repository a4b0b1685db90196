//! Adapts an architecture to weights that were trained on other pictures or for other classes: the numbers of input channels and
//! outputs are inferred from the shapes in the weight file.

use super::tensor_shapes::TensorShapes;
use crate::graph::{Graph, Node, NodeId};
use std::collections::BTreeMap;

/// Numbers of input channels and outputs that are inferred from a weight file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FreeSizes {
    /// Number of input channels; `None` if it is the same as in the architecture.
    pub channels: Option<usize>,
    /// Number of outputs of each last layer for which it differs from the architecture, by the layer's name.
    pub outputs: BTreeMap<String, usize>,
}

impl FreeSizes {
    /// Determines the sizes in which the weights of a file differ from the first convolutions and the last layers of `graph`.
    pub fn of(graph: &Graph, shapes: &TensorShapes) -> Self {
        let nodes = &graph.nodes;
        let first = nodes.iter().filter(|node| node.inputs.first().is_some_and(|&id| is_picture(nodes, id)));
        let channels = first.filter(|node| node.op.kind() == "conv").find_map(|node| other_size(node, 1, shapes));
        let last = last_layers(graph).into_iter().map(|id| &nodes[id]);
        let outputs = last.filter_map(|node| Some((node.name.clone(), other_size(node, 0, shapes)?))).collect();
        Self { channels, outputs }
    }

    /// Whether all sizes are the same as in the architecture.
    pub fn is_empty(&self) -> bool {
        self.channels.is_none() && self.outputs.is_empty()
    }

    /// A line for the user about the sizes that were changed; empty if none were.
    pub fn told(&self) -> String {
        let many = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let channels = self.channels.map(|n| many(n, "input channel"));
        let outputs = self.outputs.iter().map(|(layer, &n)| format!("{layer} has {}", many(n, "output")));
        channels.into_iter().chain(outputs).collect::<Vec<_>>().join("; ")
    }
}

/// Whether a node is the input picture, possibly normalized, padded or with its channels in another order.
pub fn is_picture(nodes: &[Node], id: NodeId) -> bool {
    match (nodes[id].op.kind(), &nodes[id].inputs[..]) {
        _ if id == 0 => true,
        ("normalize", &[from]) => from == 0,
        ("gather", &[from]) => nodes[id].shape == nodes[0].shape && is_picture(nodes, from),
        ("same_pad" | "pad" | "reflect_pad", &[from]) => {
            nodes[id].shape.get(1) == nodes[0].shape.get(1) && is_picture(nodes, from)
        }
        _ => false,
    }
}

/// The convolutions and linear layers that no other layer with parameters follows on the way to the class scores.
fn last_layers(graph: &Graph) -> Vec<NodeId> {
    let (mut open, mut found) = (vec![graph.logits], vec![]);
    while let Some(id) = open.pop() {
        let node = &graph.nodes[id];
        match node.op.kind() {
            "conv" | "linear" => found.push(id),
            _ if node.op.params().is_empty() => open.extend(&node.inputs),
            _ => {}
        }
        open.retain(|id| !found.contains(id));
    }
    found
}

/// The size of dimension `dim` of a layer's weight in the file; `None` unless this is the only dimension that differs from the
/// architecture.
fn other_size(node: &Node, dim: usize, shapes: &TensorShapes) -> Option<usize> {
    let weight = node.parameters().next()?;
    if shapes.of_name(&weight.name).any(|shape| shape == weight.shape) {
        return None;
    }
    let other = shapes.of_name(&weight.name).find(|shape| {
        let sizes = || shape.iter().zip(&weight.shape).enumerate();
        shape.len() == weight.shape.len() && sizes().all(|(at, (a, b))| at == dim || a == b)
    });
    other.and_then(|shape| shape.get(dim).copied()).filter(|&size| size > 0)
}
