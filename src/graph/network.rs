//! A network: its nodes, their parameters and its class scores.

use super::derived::Derived;
use super::node::{Node, NodeId};
use super::parameter::Parameter;
use super::scores::Scores;
use crate::backend::Accumulation;
use crate::tensor::compute_dtype;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// A network as a graph of nodes in topological order.
#[derive(Clone, Debug)]
pub struct Graph {
    /// All nodes in topological order; the first one is `input`.
    pub nodes: Vec<Node>,
    /// The node whose value is the output of the network.
    pub output: NodeId,
    /// The node whose value holds the class scores: the input of a final softmax or sigmoid, or else the output.
    pub logits: NodeId,
    /// How the class scores are interpreted.
    pub scores: Scores,
    /// Values that other modules derive from the graph and cache with it.
    pub(super) derived: Derived,
}

/// The network with direct convolution throughout, created on first use.
#[derive(Default)]
struct ExactTwin(OnceLock<Arc<Graph>>);

impl Graph {
    /// A value that another module derives from this graph and caches with it, such as plans and packed weights; created on first
    /// use. A clone of the graph starts without derived values, since graphs are cloned to be changed.
    pub fn derived<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.derived.get()
    }

    /// The same network in training mode, in which batch norms use batch statistics and dropout uses masks. Returns the network
    /// itself, with its derived values, if no layer behaves differently in training.
    pub fn in_training(self: &Arc<Self>) -> Arc<Self> {
        let ops: Vec<_> = self.nodes.iter().map(|node| node.op.in_training()).collect();
        if ops.iter().all(Option::is_none) {
            return self.clone();
        }
        let mut graph = Self::clone(self);
        for (node, op) in graph.nodes.iter_mut().zip(ops) {
            node.op = op.unwrap_or_else(|| node.op.clone());
        }
        graph.into()
    }

    /// The id of the node with this name or, if `name` is a module that contains several nodes, such as `layer4.1`, the id of the
    /// node that computes the module's output.
    ///
    /// Errors if there is none, suggesting similar names.
    pub fn find(&self, name: &str) -> Result<NodeId> {
        let node = self.nodes.iter().position(|n| n.name == name);
        let Some(id) = node.or_else(|| self.module_output(name)) else {
            bail!("no layer named \"{}\"; {}", words::name(name), self.nearest(name));
        };
        Ok(id)
    }

    /// The last node of the module `name`; `None` if no node is inside it. All consumers of this node are outside the module, so its
    /// value is the module's output.
    fn module_output(&self, name: &str) -> Option<NodeId> {
        let inside = |node: &Node| node.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        self.nodes.iter().rposition(inside)
    }

    /// The nodes that read the value of node `id`.
    pub fn readers(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        (id + 1..self.nodes.len()).filter(move |&n| self.nodes[n].inputs.contains(&id))
    }

    /// The node with this name.
    ///
    /// Errors if there is none, suggesting similar names.
    pub fn node(&self, name: &str) -> Result<&Node> {
        Ok(&self.nodes[self.find(name)?])
    }

    /// The convolutions and linear layers that do not depend on any other convolution or linear layer.
    pub fn first_with_weights(&self) -> impl Iterator<Item = &Node> {
        let weighs = |node: &Node| ["conv", "linear"].contains(&node.op.kind());
        let mut behind = vec![false; self.nodes.len()];
        let mut first = vec![];
        for (id, node) in self.nodes.iter().enumerate() {
            behind[id] = node.inputs.iter().any(|&i| behind[i] || weighs(&self.nodes[i]));
            if weighs(node) && !behind[id] {
                first.push(node);
            }
        }
        first.into_iter()
    }

    /// The parameters that the network needs, in node order.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.nodes.iter().flat_map(Node::parameters).collect()
    }

    /// The same network with the given weights, named as in its `state_dict`.
    ///
    /// Errors if tensors are missing, unexpected or of the wrong shape; `num_batches_tracked` counters are ignored.
    pub fn with_weights(&self, mut weights: BTreeMap<String, Tensor>) -> Result<Self> {
        weights.retain(|name, _| !name.ends_with("num_batches_tracked"));
        let shapes = weights.iter().map(|(name, tensor)| (name.as_str(), tensor.dims())).collect();
        let misfit = self.misfit(&shapes);
        ensure!(misfit.is_none(), "the weights do not fit the architecture: {}", misfit.unwrap_or_default());
        let mut graph = self.clone();
        for node in &mut graph.nodes {
            let names: Vec<_> = node.parameters().map(|p| p.name).collect();
            node.params = names.iter().filter_map(|n| weights.get(n).cloned()).collect();
        }
        Ok(graph)
    }

    /// Compares the tensor shapes `shapes`, given by name, with the network's parameters. Lists tensors that are missing, unexpected or of
    /// the wrong shape; `None` if all match.
    pub fn misfit(&self, shapes: &BTreeMap<&str, &[usize]>) -> Option<String> {
        let wanted = self.parameters();
        let known: BTreeSet<_> = wanted.iter().map(|p| p.name.as_str()).collect();
        let missing: Vec<_> =
            wanted.iter().map(|p| p.name.as_str()).filter(|name| !shapes.contains_key(name)).collect();
        let surplus: Vec<_> = shapes.keys().copied().filter(|name| !known.contains(name)).collect();
        let dims = |p: &Parameter| shapes.get(p.name.as_str()).copied().filter(|dims| *dims != p.shape);
        let misshapen: Vec<_> = wanted.iter().filter_map(|p| Some((p, dims(p)?))).collect();
        let name = |name: &&str| words::name(name).into_owned();
        let problems = [
            listed("missing", &missing, name),
            listed("of the wrong shape", &misshapen, |(p, dims)| {
                format!("{} is {dims:?} instead of {:?}", words::name(&p.name), p.shape)
            }),
            listed("unexpected", &surplus, name),
        ];
        let problems: Vec<_> = problems.into_iter().flatten().collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    /// The loaded weights, by full name.
    pub fn weights(&self) -> BTreeMap<String, Tensor> {
        self.nodes.iter().flat_map(|n| n.parameters().map(|p| p.name).zip(n.params.iter().cloned())).collect()
    }

    /// The device of the weights; the CPU if there are none.
    pub fn device(&self) -> Device {
        self.nodes.iter().find_map(|n| n.params.first()).map_or(Device::Cpu, |weight| weight.device().clone())
    }

    /// The dtype in which the weights are stored; f32 if there are none.
    pub fn storage(&self) -> DType {
        self.nodes.iter().find_map(|n| n.params.first()).map_or(DType::F32, Tensor::dtype)
    }

    /// The dtype of inputs and activations, derived from that of the weights.
    pub fn dtype(&self) -> DType {
        compute_dtype(self.storage())
    }

    /// How the network's convolutions are computed; [`Accumulation::Direct`] if it has none.
    pub fn accumulation(&self) -> Accumulation {
        self.nodes.iter().find_map(|n| n.op.accumulation()).unwrap_or_default()
    }

    /// The same network with all convolutions computed in the given way.
    pub fn with_accumulation(&self, accumulation: Accumulation) -> Self {
        let mut graph = self.clone();
        for node in &mut graph.nodes {
            node.op = node.op.with_accumulation(accumulation).unwrap_or_else(|| node.op.clone());
        }
        graph
    }

    /// The same network with direct convolution throughout; the network itself if it already uses direct convolution. Created
    /// on first use and cached, since it holds its own packed weights.
    pub fn exact(self: &Arc<Self>) -> Arc<Self> {
        if self.accumulation() == Accumulation::Direct {
            return self.clone();
        }
        let twin = self.derived::<ExactTwin>();
        twin.0.get_or_init(|| self.with_accumulation(Accumulation::Direct).into()).clone()
    }

    /// The same network with its weights stored as `dtype` on `device`. With weights stored in bf16 or f16, computations are in f32.
    pub fn to(&self, dtype: DType, device: &Device) -> Result<Self> {
        let mut graph = self.clone();
        for node in &mut graph.nodes {
            for p in &mut node.params {
                *p = p.to_dtype(dtype)?.to_device(device).with_context(|| format!("moving layer \"{}\"", node.name))?;
            }
        }
        Ok(graph)
    }

    fn nearest(&self, name: &str) -> String {
        let modules = self.nodes.iter().flat_map(|n| n.modules());
        let mut near: Vec<_> = self.nodes.iter().map(|n| n.name.as_str()).chain(modules).collect();
        near.sort_unstable();
        near.dedup();
        near.sort_by_cached_key(|n| std::cmp::Reverse((words::alike(n, name) * 1000.0) as i64));
        near.truncate(3);
        format!("similar names: {}", near.join(", "))
    }
}

/// Lists items for an error message, such as `12 missing: a, b, … and 4 more`; `None` if there are no items.
fn listed<T>(what: &str, all: &[T], text: impl Fn(&T) -> String) -> Option<String> {
    const SHOWN: usize = 8;
    let more = match all.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let first: Vec<_> = all.iter().take(SHOWN).map(text).collect();
    (!all.is_empty()).then(|| format!("{} {what}: {}{more}", all.len(), first.join(", ")))
}
