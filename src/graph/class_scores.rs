//! Locates a network's class scores and determines how they are interpreted.

use super::network::Graph;
use super::node::{Node, NodeId};
use super::scores::Scores;
use anyhow::{Result, bail, ensure};
use candle_core::Tensor;

impl Graph {
    /// Number of classes; 0 if the network outputs a map instead of class scores.
    pub fn classes(&self) -> usize {
        match self.scores {
            Scores::Places => 0,
            Scores::Pair => 2,
            _ => self.nodes[self.logits].shape[1..].iter().product(),
        }
    }

    /// The same network with its class scores interpreted as `exclusive` or `independent`, the names used in model cards; `None`
    /// keeps the network's own interpretation. The values of a map are never interpreted as class scores.
    ///
    /// Errors if the name is unknown.
    pub fn with_scores(mut self, name: Option<&str>) -> Result<Self> {
        let independent = match name {
            None => self.scores == Scores::Independent,
            Some("independent") => true,
            Some("exclusive") => false,
            Some(other) => {
                bail!(
                    "unknown kind of scores \"{other}\"; expected exclusive (softmax) or independent (a sigmoid for each class)"
                )
            }
        };
        // For a network that ends with a sigmoid, "exclusive" refers to the values after the sigmoid.
        let end = &self.nodes[self.output];
        if name == Some("exclusive") && self.scores == Scores::Independent && end.inputs == [self.logits] {
            self.logits = self.output;
        }
        self.scores = Scores::of(&self.nodes[self.logits].shape, independent);
        Ok(self)
    }

    /// Errors if the network outputs no class scores.
    pub fn check_classes(&self) -> Result<()> {
        let Node { name, shape, .. } = &self.nodes[self.logits];
        ensure!(
            self.scores != Scores::Places,
            "the network has no class scores: layer \"{name}\" outputs a feature map of {} channels and {} positions; end it with \
             global_avg_pool for classes, or choose the target \"CLASS @ X,Y\", \"CLASS in MASK.png\" or \"max CLASS\"",
            shape[1],
            shape[2..].iter().map(usize::to_string).collect::<Vec<_>>().join("x")
        );
        Ok(())
    }

    /// Converts a gradient with respect to the logits, `(N, classes)`, to a seed at the node that holds them, whose value has
    /// shape `dims`.
    pub fn seed(&self, seed: &Tensor, dims: &[usize]) -> Result<(NodeId, Tensor)> {
        Ok((self.logits, self.scores.at_node(seed, dims)?))
    }
}

/// The node that holds the class scores, and how they are interpreted. It is the input of a final softmax or sigmoid, else the
/// output; layers after the softmax or sigmoid that only reshape are skipped.
pub(super) fn found(nodes: &[Node], output: NodeId) -> (NodeId, Scores) {
    let (mut end, mut id, mut independent) = (output, output, false);
    loop {
        let before = match nodes[id].op.kind() {
            "softmax" | "log_softmax" => Some(false),
            "sigmoid" => Some(true),
            "flatten" | "reshape" | "dropout" | "dropout2d" => None,
            _ => break,
        };
        let [input] = nodes[id].inputs[..] else { break };
        id = input;
        if let Some(sigmoid) = before {
            (end, independent) = (id, sigmoid);
            if sigmoid {
                break;
            }
        }
    }
    (end, Scores::of(&nodes[end].shape, independent))
}

/// How to interpret the value of a node declared to hold the class scores, given the value's shape. If it is a map, each
/// of its elements is a class.
pub(super) fn said(shape: &[usize]) -> Scores {
    match Scores::of(shape, false) {
        Scores::Places => Scores::Exclusive,
        scores => scores,
    }
}
