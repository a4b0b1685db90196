//! The backward pass through a trace.

use super::composite::Composite;
use super::ledger::{END, LedgerEntry};
use crate::backend;
use crate::exec::{Absorbed, GradientTargets, Gradients, Trace};
use crate::graph::op::{DefaultRule, Saved};
use crate::graph::{Graph, Node, NodeId};
use crate::tensor::add_to;
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A backward pass through a run, from seeds to nodes, by the rules of a composite.
pub struct Walk<'a> {
    /// The run to propagate through.
    pub trace: &'a Trace,
    /// Gradients (or relevance) to start from. Each has the shape of its node's value.
    pub seeds: Vec<(NodeId, Tensor)>,
    /// The nodes to propagate to. Other nodes are visited only on the way from a seed to these.
    pub to: Vec<NodeId>,
    /// Rules for the nodes at which relevance does not propagate like a gradient.
    pub composite: Composite<'a>,
    /// Whether to compute the gradients of parameters too.
    pub params: bool,
    /// Whether to return the values of all visited nodes instead of only those in `to`.
    pub keep: bool,
    /// Whether to sum the results over the batch, to `(1, …)`.
    pub sum: bool,
    /// A function called before each node; an error stops the pass.
    pub tick: &'a dyn Fn(&Node) -> Result<()>,
}

/// The result of a backward pass.
#[derive(Clone, Debug)]
pub struct Relevance {
    /// The network that ran.
    pub graph: Arc<Graph>,
    /// The network's input, `(N, …)`.
    pub x: Tensor,
    /// Gradient or relevance at each node that the pass reached, if it was kept.
    pub values: BTreeMap<NodeId, Tensor>,
    /// Gradients of parameters by name, if they were requested.
    pub params: BTreeMap<String, Tensor>,
    /// The ledger entry of each visited node, if the composite has rules.
    pub ledger: BTreeMap<NodeId, LedgerEntry>,
}

impl<'a> Walk<'a> {
    /// A pass that computes the gradient from the seeds to the input and keeps the gradient of every node.
    pub fn gradient(trace: &'a Trace, seeds: Vec<(NodeId, Tensor)>) -> Self {
        Self {
            trace,
            seeds,
            to: vec![0],
            composite: Composite::gradient(),
            params: false,
            keep: true,
            sum: false,
            tick: &|_| Ok(()),
        }
    }

    /// Runs the backward pass.
    ///
    /// Errors if a seed does not have the shape of its node's value, or a rule or `tick` fails.
    pub fn run(self) -> Result<Relevance> {
        let graph = self.trace.graph.clone();
        let mut pending: BTreeMap<NodeId, Tensor> = BTreeMap::new();
        for (id, seed) in &self.seeds {
            let value = self.trace.dims(*id)?;
            ensure!(
                seed.dims() == value,
                "got a seed of shape {:?} at \"{}\", where the value has shape {value:?}",
                seed.dims(),
                graph.nodes[*id].name
            );
            add_to(&mut pending, *id, seed.clone())?;
        }
        let mut answer = Relevance {
            graph: graph.clone(),
            x: self.trace.input().clone(),
            values: BTreeMap::new(),
            params: BTreeMap::new(),
            ledger: BTreeMap::new(),
        };
        if let Some((values, params)) = self.fused(&graph)? {
            return Ok(Relevance { values, params, ..answer });
        }
        let wanted = self.wanted(&graph);
        while let Some((id, r)) = pending.pop_last() {
            let node = &graph.nodes[id];
            (self.tick)(node)?;
            self.pass(id, &r, &wanted, &mut pending, &mut answer)
                .with_context(|| format!("at layer \"{}\"", node.name))?;
            if self.keep || self.to.contains(&id) {
                let r = if self.sum { backend::sum_keepdim(&r, &[0])? } else { r };
                answer.values.insert(id, r);
            }
        }
        Ok(answer)
    }

    /// The gradients computed by a fused backward pass; `None` unless plain gradients of a fused run are requested.
    fn fused(&self, graph: &Arc<Graph>) -> Result<Option<Gradients>> {
        match self.trace.fused() {
            Some(run) if self.composite.is_gradient() && !self.keep => {
                let wanted = GradientTargets { to: &self.to, sum: self.sum, params: self.params };
                run.gradient(graph, &self.seeds, wanted, self.tick)
            }
            _ => Ok(None),
        }
    }

    /// Propagates the relevance of one node to the inputs of the node.
    fn pass(
        &self,
        id: NodeId,
        r: &Tensor,
        wanted: &[bool],
        pending: &mut BTreeMap<NodeId, Tensor>,
        answer: &mut Relevance,
    ) -> Result<()> {
        let node = &self.trace.graph.nodes[id];
        let onward = node.inputs.iter().any(|&i| wanted[i]);
        let own_params = self.params && !node.params.is_empty();
        let ledger = !self.composite.is_gradient();
        if ledger && !onward {
            let into = backend::sum(r)?;
            answer.ledger.insert(id, LedgerEntry { rule: END.into(), into, out: into, ..LedgerEntry::default() });
        }
        if !onward && !own_params {
            return Ok(());
        }
        let site = self.trace.site(id);
        if own_params {
            for (parameter, gradient) in node.parameters().zip(site.vjp_params(r)?) {
                // Several nodes may share a parameter.
                add_to(&mut answer.params, parameter.name, gradient)?;
            }
        }
        if !onward {
            return Ok(());
        }
        let by_rule = match self.composite.rule(node) {
            Some(rule) => Some(rule(&site, r)?),
            None => None,
        };
        // Parameters and constants among the inputs absorb their share, as a bias does.
        let shared = by_rule.is_some() || node.op.spec().relevance == DefaultRule::Move;
        let absorbs = |id: NodeId| ledger && shared && !self.trace.graph.depends_on_input(id);
        let mut out = 0.0;
        for (k, &input) in node.inputs.iter().enumerate().filter(|(_, i)| wanted[**i] || absorbs(**i)) {
            let part = match &by_rule {
                Some(parts) => parts.get(k).cloned().context("the rule returned no relevance for this input")?,
                None => site.vjp(r, k)?,
            };
            ensure!(
                part.dims() == site.dims(k)?,
                "the rule returned relevance of shape {:?} for an input of shape {:?}",
                part.dims(),
                site.dims(k)?
            );
            if !wanted[input] {
                site.absorb(Absorbed { bias: backend::sum(&part)?, ..Absorbed::default() });
                continue;
            }
            if ledger {
                out += backend::sum(&part)?;
            }
            add_to(pending, input, part)?;
        }
        if ledger {
            let rule = self.composite.name(node).to_string();
            let entry = LedgerEntry { rule, into: backend::sum(r)?, out, kept: site.absorbed() };
            answer.ledger.insert(id, entry);
        }
        Ok(())
    }

    /// For each node, whether the pass must compute a value there: at the requested nodes, and at all nodes between them and a
    /// seed. If gradients of parameters are requested, every node with parameters counts as requested.
    fn wanted(&self, graph: &Graph) -> Vec<bool> {
        let mut wanted: Vec<_> = (0..graph.nodes.len()).map(|id| self.to.contains(&id)).collect();
        for (id, node) in graph.nodes.iter().enumerate() {
            let parameters = self.params && !node.params.is_empty();
            wanted[id] = wanted[id] || parameters || node.inputs.iter().any(|&i| wanted[i]);
        }
        wanted
    }
}

impl Relevance {
    /// The gradient or relevance at the node with this name.
    ///
    /// Errors if there is no such node, or the pass did not reach it or did not keep its value.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        let id = self.graph.find(name)?;
        self.values.get(&id).with_context(|| {
            format!("the backward pass did not reach layer \"{name}\": it is after the seed, not connected to it, or before `to`")
        })
    }

    /// The gradient or relevance at the input.
    pub fn input(&self) -> Result<&Tensor> {
        self.get("input")
    }
}
