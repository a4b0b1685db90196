//! The graph and its nodes.

use super::op::Op;
use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A node's place in [`Graph::nodes`]; inputs of a node always have smaller ids than the node.
pub type NodeId = usize;

/// One operation of a network, with its parameters.
#[derive(Clone, Debug)]
pub struct Node {
    /// PyTorch's module name, unique in the graph.
    pub name: String,
    /// What it computes.
    pub op: Arc<dyn Op>,
    /// Whose values it reads, in the operation's order.
    pub inputs: Vec<NodeId>,
    /// Shape of its value for one picture, `N = 1`.
    pub shape: Vec<usize>,
    /// Its parameters in the order of [`Op::params`]; empty until weights are loaded or drawn.
    pub params: Vec<Tensor>,
}

/// What a graph asks of a weight file: one named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// `node.weight`, as PyTorch's `state_dict` has it.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether training changes it; running statistics are not trained.
    pub trained: bool,
}

/// A network: nodes in an order in which each follows its inputs.
#[derive(Clone, Debug)]
pub struct Graph {
    /// All nodes; the first is `input`.
    pub nodes: Vec<Node>,
    /// The node that ends the network.
    pub output: NodeId,
    /// The node whose value has one score a class; the output itself, or what stands before its softmax.
    pub logits: NodeId,
}

impl Node {
    /// Names and shapes of the parameters it needs.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter> + '_ {
        self.op.params().into_iter().map(|p| Parameter { name: format!("{}.{}", self.name, p.name), ..p })
    }

    /// How many numbers its parameters hold.
    pub fn parameter_count(&self) -> usize {
        self.op.params().iter().map(|p| p.shape.iter().product::<usize>()).sum()
    }
}

impl Graph {
    /// The id of the node of this name; the error names close ones.
    pub fn find(&self, name: &str) -> Result<NodeId> {
        let Some(id) = self.nodes.iter().position(|n| n.name == name) else {
            bail!("no layer named \"{name}\"; {}", self.nearest(name));
        };
        Ok(id)
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Result<&Node> {
        Ok(&self.nodes[self.find(name)?])
    }

    /// Every parameter, in node order.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.nodes.iter().flat_map(Node::parameters).collect()
    }

    /// The same network with these weights.
    ///
    /// Errors list every missing, surplus and misshapen tensor; `num_batches_tracked` counters are left aside.
    pub fn with_weights(&self, mut weights: BTreeMap<String, Tensor>) -> Result<Self> {
        weights.retain(|name, _| !name.ends_with("num_batches_tracked"));
        let wanted = self.parameters();
        let mut problems = Vec::new();
        for p in &wanted {
            match weights.get(&p.name) {
                None => problems.push(format!("{} is missing", p.name)),
                Some(t) if t.dims() != p.shape => {
                    problems.push(format!("{} is {:?}, expected {:?}", p.name, t.dims(), p.shape))
                }
                Some(_) => {}
            }
        }
        let known: std::collections::BTreeSet<_> = wanted.iter().map(|p| p.name.as_str()).collect();
        problems.extend(weights.keys().filter(|n| !known.contains(n.as_str())).map(|n| format!("{n} is surplus")));
        if !problems.is_empty() {
            bail!("the weights do not fit the architecture: {}", problems.join("; "));
        }
        let mut graph = self.clone();
        for node in &mut graph.nodes {
            let names: Vec<_> = node.parameters().map(|p| p.name).collect();
            node.params = names.iter().filter_map(|n| weights.remove(n)).collect();
        }
        Ok(graph)
    }

    /// All weights by name.
    pub fn weights(&self) -> BTreeMap<String, Tensor> {
        self.nodes.iter().flat_map(|n| n.parameters().map(|p| p.name).zip(n.params.iter().cloned())).collect()
    }

    /// The same network with its weights in another type or on another device.
    pub fn to(&self, dtype: DType, device: &Device) -> Result<Self> {
        let mut graph = self.clone();
        for node in &mut graph.nodes {
            for p in &mut node.params {
                *p = p.to_dtype(dtype)?.to_device(device).with_context(|| format!("moving {}", node.name))?;
            }
        }
        Ok(graph)
    }

    fn nearest(&self, name: &str) -> String {
        let mut near: Vec<_> = self.nodes.iter().map(|n| n.name.as_str()).collect();
        near.sort_by_key(|n| std::cmp::Reverse((strsim::jaro_winkler(n, name) * 1000.0) as i64));
        near.truncate(3);
        format!("close ones are {}", near.join(", "))
    }
}
