//! Attention and gates: products in which one factor weights the other.

use super::network::Graph;
use super::node::NodeId;
use super::op::{Family, Inputs};
use candle_core::{Device, Tensor};

/// Attention: values weighted by the softmax of products of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    /// The softmax that computes the weights, `(N, …, queries, keys)`.
    pub weights: NodeId,
    /// The matrix product of queries and keys.
    pub scores: NodeId,
    /// The matrix product of the weights and the values.
    pub product: NodeId,
    /// The first input of `scores`, the queries.
    pub queries: NodeId,
    /// The second input of `scores`, the transposed keys.
    pub keys: NodeId,
    /// The other input of `product`, the values.
    pub values: NodeId,
}

/// The sizes of attention weights, `(N, windows, heads, tokens, sources)`. Attention is computed separately in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionSizes {
    /// Number of windows; 1 if attention is not windowed.
    pub windows: usize,
    /// Number of heads.
    pub heads: usize,
    /// Number of queries.
    pub tokens: usize,
    /// Number of keys.
    pub sources: usize,
}

impl Attention {
    /// The sizes of the attention weights.
    pub fn sizes(&self, graph: &Graph) -> AttentionSizes {
        let shape = &graph.nodes[self.weights].shape;
        let from_end = |i: usize| shape.len().checked_sub(i).filter(|&d| d > 0).map_or(1, |d| shape[d]);
        let windows = shape.iter().skip(1).rev().skip(3).product();
        AttentionSizes { windows, heads: from_end(3), tokens: from_end(2), sources: from_end(1) }
    }
}

impl Graph {
    /// The attention layers of the network, in order. Each is a softmax over the last dimension of a matrix product of two values,
    /// multiplied by a third value. All three values depend on the network's input.
    pub fn attention(&self) -> Vec<Attention> {
        (0..self.nodes.len()).filter_map(|id| self.attention_by(id)).collect()
    }

    /// The attention layer whose output is computed by the matrix product `product`; `None` if there is none.
    fn attention_by(&self, product: NodeId) -> Option<Attention> {
        let [a, b] = self.matmul_of_values(product)?;
        let softmax = |id| Some(self.moved_from(id)).filter(|&id| self.is_softmax_over_last(id));
        let (weights, values) = match (softmax(a), softmax(b)) {
            (Some(weights), _) => (weights, b),
            (None, Some(weights)) => (weights, a),
            (None, None) => return None,
        };
        let scores = self.scores_of(weights)?;
        let [queries, keys] = self.matmul_of_values(scores)?;
        Some(Attention { weights, scores, product, queries, keys, values })
    }

    /// The inputs of node `id` if it is a matrix product whose two factors both depend on the network's input.
    fn matmul_of_values(&self, id: NodeId) -> Option<[NodeId; 2]> {
        let node = &self.nodes[id];
        let inputs = node.inputs[..].try_into().ok().filter(|_| node.op.kind() == "matmul")?;
        let [a, b]: [NodeId; 2] = inputs;
        (self.depends_on_input(a) && self.depends_on_input(b)).then_some([a, b])
    }

    fn is_softmax_over_last(&self, id: NodeId) -> bool {
        let node = &self.nodes[id];
        node.shape.len() > 2 && node.op.softmax_dim() == Some(node.shape.len() - 1)
    }

    /// The matrix product from which the softmax `id` is computed, possibly after scaling, masking, adding a bias or reshaping.
    fn scores_of(&self, id: NodeId) -> Option<NodeId> {
        let varying = |id: NodeId| {
            let mut inputs = self.nodes[id].inputs.iter().copied().filter(|&i| self.depends_on_input(i));
            inputs.next().filter(|_| inputs.next().is_none())
        };
        let mut id = varying(id)?;
        while self.nodes[id].op.kind() != "matmul" {
            let spec = self.nodes[id].op.spec();
            let passes = matches!(spec.family, Family::Shape | Family::Elementwise | Family::Dropout);
            id = varying(id).filter(|_| passes)?;
        }
        Some(id)
    }

    /// The index of the token from which the class scores are computed, such as a class token; the lowest index if there are several.
    /// `None` if the network does not select tokens.
    pub fn class_token(&self) -> Option<usize> {
        let tokens = |id: NodeId| if let [_, tokens, _] = self.nodes[id].shape[..] { tokens } else { 1 };
        let mut found = vec![];
        let mut open = vec![self.logits];
        while let Some(id) = open.pop() {
            for &input in &self.nodes[id].inputs {
                match tokens(input) {
                    1 => open.extend(Some(input).filter(|&id| self.depends_on_input(id))),
                    count if tokens(id) == 1 => found.extend(self.selected(id, count)),
                    _ => {}
                }
            }
        }
        found.into_iter().min()
    }

    /// The index of the token that node `id` selects out of `count` tokens; `None` unless it selects exactly one.
    fn selected(&self, id: NodeId, count: usize) -> Option<usize> {
        let node = &self.nodes[id];
        if !["select", "slice", "gather"].contains(&node.op.kind()) {
            return None;
        }
        let channels = self.nodes[node.inputs[0]].shape[2];
        let numbers = (0..count * channels).map(|i| (i / channels) as f32);
        let numbers = Tensor::from_iter(numbers, &Device::Cpu).and_then(|t| t.reshape((1, count, channels))).ok()?;
        let kept = node.op.forward(&[&numbers], &[]).ok()?.flatten_all().ok()?.to_vec1::<f32>().ok()?;
        kept.first().filter(|&&first| kept.iter().all(|&token| token == first)).map(|&token| token as usize)
    }

    /// Whether node `id` acts as a gate where it multiplies another value: its own value comes from a softmax or a sigmoid, possibly
    /// rearranged, scaled or resized.
    pub fn is_gate(&self, id: NodeId) -> bool {
        ["softmax", "sigmoid", "hard_sigmoid"].contains(&self.nodes[self.moved_from(id)].op.kind())
    }

    /// Goes back from node `id`, past nodes that only rearrange, scale or resize a value, to the first node that does more.
    fn moved_from(&self, mut id: NodeId) -> NodeId {
        loop {
            let node = &self.nodes[id];
            let spec = node.op.spec();
            let moves = matches!(spec.family, Family::Shape | Family::Dropout) && spec.inputs == Inputs::One;
            match node.inputs[..] {
                [input] if moves || ["scale", "ablate", "interpolate"].contains(&spec.kind) => id = input,
                _ => return id,
            }
        }
    }
}
