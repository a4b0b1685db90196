//! Where a network's class scores are, and how they are read.

use super::network::Graph;
use super::node::{Node, NodeId};
use super::scores::Scores;
use anyhow::{Result, bail, ensure};
use candle_core::Tensor;

impl Graph {
    /// How many classes the network tells apart; 0 where it gives a value at each of several places.
    pub fn classes(&self) -> usize {
        match self.scores {
            Scores::Places => 0,
            Scores::Pair => 2,
            _ => self.nodes[self.logits].shape[1..].iter().product(),
        }
    }

    /// The same network with its scores read as its card says, `exclusive` or `independent`, or else as the network itself
    /// does. A map is never taken for class scores.
    pub fn with_scores(mut self, name: Option<&str>) -> Result<Self> {
        let independent = match name {
            None => self.scores == Scores::Independent,
            Some("independent") => true,
            Some("exclusive") => false,
            Some(other) => {
                bail!("no scores \"{other}\"; known are exclusive (softmax) and independent (a sigmoid for each class)")
            }
        };
        // What is exclusive all the same has its scores behind the sigmoid.
        let end = &self.nodes[self.output];
        if name == Some("exclusive") && self.scores == Scores::Independent && end.inputs == [self.logits] {
            self.logits = self.output;
        }
        self.scores = Scores::of(&self.nodes[self.logits].shape, independent);
        Ok(self)
    }

    /// Errors where the network has no classes.
    pub fn check_classes(&self) -> Result<()> {
        let Node { name, shape, .. } = &self.nodes[self.logits];
        ensure!(
            self.scores != Scores::Places,
            "the network has no class scores: layer \"{name}\" gives {} values at each of {} places; end it with \
             global_avg_pool for classes, or ask about a place with at(layer, tensor) or an objective",
            shape[1],
            shape[2..].iter().map(usize::to_string).collect::<Vec<_>>().join("x")
        );
        Ok(())
    }

    /// A gradient by the logits, `(N, classes)`, as a seed at their node, whose value has the shape `dims`.
    pub fn seed(&self, seed: &Tensor, dims: &[usize]) -> Result<(NodeId, Tensor)> {
        Ok((self.logits, self.scores.at_node(seed, dims)?))
    }
}

/// Where the class scores stand, and how they are read: before a last softmax or sigmoid, whatever only changes its shape
/// behind it.
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

/// How a value of this shape is read that somebody says has the class scores, a map's values one by one.
pub(super) fn said(shape: &[usize]) -> Scores {
    match Scores::of(shape, false) {
        Scores::Places => Scores::Exclusive,
        scores => scores,
    }
}
