//! Builds a graph node by node.

use super::class_scores as scores;
use super::derived::Derived;
use super::network::Graph;
use super::node::{Node, NodeId};
use super::op::{Input, Op};
use crate::tensor::elements;
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashSet;
use std::sync::Arc;

/// A graph under construction; shapes are checked as nodes are added.
#[derive(Clone, Debug)]
pub struct Builder {
    nodes: Vec<Node>,
    names: HashSet<String>,
    logits: Option<NodeId>,
}

impl Builder {
    /// Starts a graph that consists of the node `input`, for pictures of shape `(C, H, W)`.
    pub fn new(input: &[usize]) -> Self {
        let shape = std::iter::once(1).chain(input.iter().copied()).collect();
        let node = Node::new("input".into(), Arc::new(Input), vec![], shape);
        Self { nodes: vec![node], names: HashSet::from(["input".into()]), logits: None }
    }

    /// Starts a graph with the nodes of another one.
    pub(super) fn after(graph: &Graph) -> Self {
        let names = graph.nodes.iter().map(|node| node.name.clone()).collect();
        Self { nodes: graph.nodes.clone(), names, logits: None }
    }

    /// Adds a node with the given inputs. Returns its id.
    ///
    /// Errors if the name is empty or taken, an input does not exist, or the operation does not accept the shapes.
    pub fn add(&mut self, name: &str, op: impl Op + 'static, inputs: &[NodeId]) -> Result<NodeId> {
        self.add_shared(name, Arc::new(op), inputs)
    }

    /// Like [`add`](Self::add), for an operation built by an [`OpSpec`](super::op::OpSpec).
    pub fn add_shared(&mut self, name: &str, op: Arc<dyn Op>, inputs: &[NodeId]) -> Result<NodeId> {
        ensure!(!name.is_empty(), "a layer needs a name");
        if self.names.contains(name) {
            bail!("duplicate layer name \"{name}\"; names must be unique: call reused layers relu_1, relu_2, …");
        }
        ensure!(inputs.iter().all(|&i| i < self.nodes.len()), "layer \"{name}\" reads a node that does not exist");
        let shapes: Vec<_> = inputs.iter().map(|&i| self.nodes[i].shape.as_slice()).collect();
        let shape = checked(&*op, &shapes).with_context(|| format!("layer \"{name}\" ({})", op.kind()))?;
        self.names.insert(name.into());
        self.nodes.push(Node::new(name.into(), op, inputs.to_vec(), shape));
        Ok(self.nodes.len() - 1)
    }

    /// Sets the full name of a node's parameter; the default is `node.weight` for a parameter `weight` of a node `node`.
    ///
    /// Errors if the node has no parameter of this name.
    pub fn rename(&mut self, id: NodeId, parameter: &str, full: &str) -> Result<()> {
        let node = &mut self.nodes[id];
        let known: Vec<_> = node.op.params().into_iter().map(|p| p.name).collect();
        let has = known.iter().any(|name| name == parameter);
        let (name, parameter_name) = (&node.name, crate::words::name(parameter));
        ensure!(has, "layer \"{name}\" has no parameter \"{parameter_name}\"; it has {}", known.join(", "));
        node.renamed.insert(parameter.into(), full.into());
        Ok(())
    }

    /// The name of a node.
    pub fn name(&self, id: NodeId) -> &str {
        &self.nodes[id].name
    }

    /// The nodes so far, in the order in which they were added.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The shape of a node's value for a single picture, `(1, …)`.
    pub fn shape(&self, id: NodeId) -> &[usize] {
        &self.nodes[id].shape
    }

    /// Declares which node holds the class scores. Needed only if that is neither the output nor the input of a final softmax or
    /// sigmoid.
    pub fn set_logits(&mut self, id: NodeId) {
        self.logits = Some(id);
    }

    /// Finishes the graph with the given output node; nodes that the output does not depend on are dropped.
    ///
    /// Errors if the output node does not exist, or the node with the class scores would be dropped.
    pub fn finish(self, output: NodeId) -> Result<Graph> {
        ensure!(output < self.nodes.len(), "the output node does not exist");
        let mut needed = vec![false; self.nodes.len()];
        needed[0] = true;
        needed[output] = true;
        for id in (0..self.nodes.len()).rev().filter(|&id| id <= output) {
            if needed[id] {
                self.nodes[id].inputs.iter().for_each(|&i| needed[i] = true);
            }
        }
        if let Some(dropped) = self.logits.filter(|&id| !needed[id]) {
            let (scores, end) = (&self.nodes[dropped].name, &self.nodes[output].name);
            bail!("layer \"{scores}\" cannot hold the class scores: the last layer \"{end}\" does not depend on it");
        }
        let mut place = vec![0; self.nodes.len()];
        let mut nodes = Vec::new();
        for (id, mut node) in self.nodes.into_iter().enumerate().filter(|(id, _)| needed[*id]) {
            place[id] = nodes.len();
            node.inputs.iter_mut().for_each(|i| *i = place[*i]);
            nodes.push(node);
        }
        let output = place[output];
        let (logits, scores) = match self.logits {
            Some(id) => (place[id], scores::said(&nodes[place[id]].shape)),
            None => scores::found(&nodes, output),
        };
        Ok(Graph { nodes, output, logits, scores, derived: Derived::default() })
    }
}

impl Builder {
    /// Finishes the graph with class scores at the node `head` and keeps all nodes.
    ///
    /// Errors if the node does not exist.
    pub(super) fn finish_all(self, head: NodeId) -> Result<Graph> {
        let shape = &self.nodes.get(head).context("the head does not exist")?.shape;
        let scores = scores::said(shape);
        Ok(Graph { nodes: self.nodes, output: head, logits: head, scores, derived: Derived::default() })
    }
}

/// The output shape of `op` for inputs of shapes `x`.
///
/// Errors if the operation does not accept the shapes, if the output has too many dimensions, or if the output or a
/// parameter has too many elements.
fn checked(op: &dyn Op, x: &[&[usize]]) -> Result<Vec<usize>> {
    let shape = op.shape(x)?;
    ensure!(shape.len() <= MOST_DIMENSIONS, "at most {MOST_DIMENSIONS} dimensions are supported, got {}", shape.len());
    elements(&shape)?;
    op.params().iter().try_for_each(|p| elements(&p.shape).map(drop))?;
    Ok(shape)
}

/// Maximum number of dimensions of a value, including the batch dimension.
const MOST_DIMENSIONS: usize = 6;

#[cfg(test)]
mod tests {
    use super::super::op::{Flatten, Relu, Softmax};
    use super::*;

    #[test]
    fn class_scores_precede_the_softmax_unless_declared_otherwise() {
        let mut b = Builder::new(&[1, 1, 3]);
        let scores = b.add("flatten", Flatten, &[0]).unwrap();
        let end = b.add("softmax", Softmax::default(), &[scores]).unwrap();
        assert_eq!(b.clone().finish(end).unwrap().logits, scores);
        b.set_logits(end);
        assert_eq!(b.finish(end).unwrap().logits, end);
    }

    #[test]
    fn class_scores_that_the_network_drops_are_an_error() {
        let mut b = Builder::new(&[1, 1, 3]);
        let beside = b.add("beside", Flatten, &[0]).unwrap();
        let end = b.add("end", Relu, &[0]).unwrap();
        b.set_logits(beside);
        let error = b.finish(end).unwrap_err().to_string();
        assert!(error.contains("layer \"beside\" cannot hold the class scores"), "{error}");
    }
}
