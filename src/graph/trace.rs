//! A run of a graph on a batch, and one node in it.

use super::account::Account;
use super::node::{Graph, Node, NodeId};
use super::plan::Run;
use crate::sync::LockUnpoisoned;
use crate::tensor::row_dims;
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use std::sync::{Arc, Mutex};

/// Numbers of all values of the pictures whose scores are taken at once: 4 GiB, of which a fifth is needed at any one time.
pub const TOGETHER: usize = 1 << 30;

/// The values of all nodes for one batch of pictures.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The network that ran.
    pub graph: Arc<Graph>,
    values: Values,
}

/// How a trace holds its values.
#[derive(Clone, Debug)]
enum Values {
    /// One a node, as each operation gave it.
    Each(Arc<Vec<Tensor>>),
    /// As a fused run left them: a node's value is made when somebody looks.
    Fused(Arc<Run>),
}

/// One node in a run: what a rule sees.
#[derive(Clone, Debug)]
pub struct Site {
    /// The network it belongs to.
    pub graph: Arc<Graph>,
    /// Which node.
    pub id: NodeId,
    values: Seen,
    /// Where rules write what they keep back; clones share it.
    account: Arc<Mutex<Account>>,
}

/// Where a site has its values from.
#[derive(Clone, Debug)]
enum Seen {
    Trace(Trace),
    Own(Vec<Tensor>, Tensor),
}

impl Graph {
    /// Runs the network on `x`, `(N, C, H, W)` in `[0, 1]`.
    pub fn forward(self: &Arc<Self>, x: &Tensor) -> Result<Trace> {
        self.forward_until(x, &|_| Ok(()))
    }

    /// The same; `tick` is asked before each step whether to go on.
    pub fn forward_until(self: &Arc<Self>, x: &Tensor, tick: &dyn Fn(&Node) -> Result<()>) -> Result<Trace> {
        self.check_input(x)?;
        match self.plan(x)? {
            Some(plan) => {
                let run = Run::new(plan, self, x, tick)?;
                Ok(Trace { graph: self.clone(), values: Values::Fused(Arc::new(run)) })
            }
            None => self.forward_with(x, &mut |node, y| tick(node).map(|()| y)),
        }
    }

    /// The scores of a batch of any size, `(N, classes)`, and nothing else: values in between do not stay, so it needs less memory.
    pub fn logits(self: &Arc<Self>, x: &Tensor) -> Result<Tensor> {
        self.logits_until(x, &|_| Ok(()))
    }

    /// The same; `tick` is asked before each step whether to go on.
    pub fn logits_until(self: &Arc<Self>, x: &Tensor, tick: &dyn Fn(&Node) -> Result<()>) -> Result<Tensor> {
        self.logits_in_parts(x, self.pictures_within(TOGETHER, row_dims(x)), tick)
    }

    /// The same, of at most `most` pictures at a time.
    pub fn logits_in_parts(
        self: &Arc<Self>,
        x: &Tensor,
        most: usize,
        tick: &dyn Fn(&Node) -> Result<()>,
    ) -> Result<Tensor> {
        self.check_classes()?;
        self.check_input(x)?;
        let (n, most) = (x.dims()[0], most.max(1));
        if n <= most {
            return self.logits_at_once(x, tick);
        }
        let part = |first: usize| self.logits_at_once(&x.narrow(0, first, most.min(n - first))?, tick);
        let parts = (0..n).step_by(most).map(part).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&parts, 0)?)
    }

    fn logits_at_once(self: &Arc<Self>, x: &Tensor, tick: &dyn Fn(&Node) -> Result<()>) -> Result<Tensor> {
        let alone = self.plan(x)?.map(|plan| Run::logits(plan, self, x, tick)).transpose()?.flatten();
        match alone {
            Some(value) => self.scores.logits(&value),
            None => self.forward_until(x, tick)?.logits(),
        }
    }
}

impl Node {
    /// Its operation on `x`, with its own parameters.
    pub fn forward(&self, x: &[&Tensor]) -> Result<Tensor> {
        ensure!(self.is_loaded(), "layer \"{}\" has no weights yet; load some with -w", self.name);
        self.op.forward(x, &self.params).with_context(|| format!("in layer \"{}\" ({})", self.name, self.op.kind()))
    }
}

impl Trace {
    /// A run of which every value is known.
    pub(super) fn new(graph: Arc<Graph>, values: Vec<Tensor>) -> Self {
        Self { graph, values: Values::Each(Arc::new(values)) }
    }

    /// The value of a node, `(N, …)`.
    ///
    /// Where steps were fused it is computed when first asked for.
    pub fn value(&self, id: NodeId) -> Result<&Tensor> {
        match &self.values {
            Values::Each(values) => Ok(&values[id]),
            Values::Fused(run) => run.value(&self.graph, id),
        }
    }

    /// The sizes of a node's value, `N` first.
    pub fn dims(&self, id: NodeId) -> Result<Vec<usize>> {
        Ok(match &self.values {
            Values::Each(values) => values[id].dims().to_vec(),
            Values::Fused(run) => run.dims(id),
        })
    }

    /// The value of the node of this name.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.value(self.graph.find(name)?)
    }

    /// The batch that ran.
    pub fn input(&self) -> &Tensor {
        match &self.values {
            Values::Each(values) => &values[0],
            Values::Fused(run) => &run.input,
        }
    }

    /// One score a class, `(N, classes)`; `[0, z]` where the network gives a single logit.
    ///
    /// Errors where it gives a value at each of several places.
    pub fn logits(&self) -> Result<Tensor> {
        self.graph.check_classes()?;
        self.graph.scores.logits(self.value(self.graph.logits)?)
    }

    /// A gradient by the logits, `(N, classes)`, as a seed at their node.
    pub fn seed(&self, gradient: &Tensor) -> Result<(NodeId, Tensor)> {
        self.graph.seed(gradient, &self.dims(self.graph.logits)?)
    }

    /// A node with what it read and gave.
    pub fn site(&self, id: NodeId) -> Site {
        Site { graph: self.graph.clone(), id, values: Seen::Trace(self.clone()), account: Arc::default() }
    }

    /// The fused run, if it is one.
    pub fn fused(&self) -> Option<&Run> {
        match &self.values {
            Values::Each(_) => None,
            Values::Fused(run) => Some(run),
        }
    }

    /// Whether all its convolutions were summed directly.
    pub fn is_exact(&self) -> bool {
        self.fused().is_none_or(Run::is_exact)
    }

    /// Bytes that its values hold.
    pub fn bytes(&self) -> usize {
        match &self.values {
            Values::Each(values) => values.iter().map(|t| t.elem_count() * t.dtype().size_in_bytes()).sum(),
            Values::Fused(run) => run.bytes(),
        }
    }
}

impl Site {
    /// A node with values that it reads and gives.
    pub fn new(graph: Arc<Graph>, id: NodeId, x: Vec<Tensor>, y: Tensor) -> Self {
        Self { graph, id, values: Seen::Own(x, y), account: Arc::default() }
    }

    /// How many values it reads.
    pub fn reads(&self) -> usize {
        match &self.values {
            Seen::Trace(_) => self.node().inputs.len(),
            Seen::Own(x, _) => x.len(),
        }
    }

    /// The value it reads as its `i`-th.
    ///
    /// # Panics
    /// Where it reads fewer.
    pub fn x(&self, i: usize) -> Result<&Tensor> {
        match &self.values {
            Seen::Trace(trace) => trace.value(self.node().inputs[i]),
            Seen::Own(x, _) => Ok(&x[i]),
        }
    }

    /// The sizes of the value it reads as its `i`-th.
    ///
    /// # Panics
    /// Where it reads fewer.
    pub fn dims(&self, i: usize) -> Result<Vec<usize>> {
        match &self.values {
            Seen::Trace(trace) => trace.dims(self.node().inputs[i]),
            Seen::Own(x, _) => Ok(x[i].dims().to_vec()),
        }
    }

    /// The value it gave.
    pub fn y(&self) -> Result<&Tensor> {
        match &self.values {
            Seen::Trace(trace) => trace.value(self.id),
            Seen::Own(_, y) => Ok(y),
        }
    }

    /// A value that is positive where the first that it reads is: what a ReLU needs to go back. Fused runs hold no more of
    /// a ReLU than what it gave.
    pub fn sign(&self) -> Result<&Tensor> {
        match &self.values {
            Seen::Trace(trace) if trace.fused().is_some() => self.y(),
            _ => self.x(0),
        }
    }

    /// Notes relevance that a rule keeps back.
    pub fn keep_back(&self, part: Account) {
        *self.account.lock_unpoisoned() += part;
    }

    /// What rules kept back so far.
    pub fn account(&self) -> Account {
        *self.account.lock_unpoisoned()
    }

    /// The node itself.
    pub fn node(&self) -> &Node {
        &self.graph.nodes[self.id]
    }

    /// `dyᵀ · ∂y/∂xᵢ`: the gradient of input `i` from the gradient of the value.
    pub fn vjp(&self, dy: &Tensor, i: usize) -> Result<Tensor> {
        let node = self.node();
        node.op
            .vjp(self, &node.params, dy, i)
            .with_context(|| format!("going back through layer \"{}\" ({})", node.name, node.op.kind()))
    }

    /// `dyᵀ · ∂y/∂w` for each parameter, in the order of `Op::params`.
    pub fn vjp_params(&self, dy: &Tensor) -> Result<Vec<Tensor>> {
        let node = self.node();
        node.op
            .vjp_params(self, &node.params, dy)
            .with_context(|| format!("weight gradients of layer \"{}\" ({})", node.name, node.op.kind()))
    }
}
