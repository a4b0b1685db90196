//! Objectives: scalars computed from activations of a trace, such as `objective(trace, |a| (a["features.7"] ** 2).mean())`.
//!
//! The closure looks up activations by name, and each activation becomes a leaf of the closure's expression. candle
//! differentiates only that expression; the gradients at the leaves are the seeds of the backward pass through the network.

use super::{LabeledTrace, Out, Variable, out};
use crate::backend;
use crate::exec::Trace;
use crate::graph::{NodeId, Scores};
use crate::script::report::Inner;
use crate::sync::LockUnpoisoned;
use crate::tensor::wide;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{Tensor, Var};
use rhai::{Dynamic, Engine, FnPtr, INT, NativeCallContext};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The argument `a` of an objective's closure, which gives access to activations: `a["layer"]`, `a.logits`, `a.input`.
#[derive(Clone)]
pub(super) struct Activations {
    trace: Arc<Trace>,
    leaves: Arc<Mutex<BTreeMap<NodeId, Var>>>,
}

/// A scalar computed from activations of a trace, with its gradient with respect to each of these activations.
#[derive(Clone)]
pub struct Objective {
    /// The value of the objective.
    pub value: f64,
    trace: Arc<Trace>,
    seeds: Vec<(NodeId, Tensor)>,
}

impl Objective {
    /// Evaluates a closure and differentiates its result.
    ///
    /// Errors if the closure does not return a scalar, or if the result has no gradient with respect to a layer that the closure reads.
    pub fn new(context: &NativeCallContext, run: &LabeledTrace, closure: &FnPtr) -> Result<Self> {
        let trace = run.trace.clone();
        let a = Activations { trace: trace.clone(), leaves: Arc::default() };
        let answer: Dynamic = closure.call_within_context(context, (a.clone(),)).map_err(Inner)?;
        let y = scalar(&answer)?;
        let gradients = y.backward().context("differentiating an objective")?;
        let leaves = a.leaves.lock_unpoisoned();
        let seed = |(&id, leaf): (&NodeId, &Var)| {
            let name = &trace.graph.nodes[id].name;
            let gradient = gradients.get(leaf).with_context(|| {
                format!(
                    "the objective reads layer \"{name}\" but has no gradient with respect to it; for a constant use \
                     trace[\"{name}\"]"
                )
            })?;
            ensure!(
                finite(gradient)?,
                "the objective's gradient with respect to layer \"{name}\" is infinite or NaN, as for a square root or \
                 logarithm at zero; add a small constant to its argument"
            );
            Ok((id, gradient.detach()))
        };
        let seeds = leaves.iter().map(seed).collect::<Result<Vec<_>>>()?;
        let value = wide(&y)?.to_scalar()?;
        drop(leaves);
        Ok(Self { value, trace, seeds })
    }

    /// The gradients of the objective as seeds of a backward pass. Errors if the objective was computed from a different trace.
    pub fn on(&self, trace: &Trace) -> Result<Vec<(NodeId, Tensor)>> {
        let same = std::ptr::eq(&*self.trace, trace);
        ensure!(
            same,
            "the objective was computed in a different forward pass; pass its closure to backward(), or compute it again"
        );
        Ok(self.seeds.clone())
    }
}

impl Activations {
    fn leaf(&self, id: NodeId) -> Result<Variable> {
        let mut leaves = self.leaves.lock_unpoisoned();
        if let Some(leaf) = leaves.get(&id) {
            return Ok(Variable(leaf.as_tensor().clone()));
        }
        let value = self.trace.value(id)?;
        let bad = backend::not_finite(value)?;
        if bad.count() > 0 {
            self.trace.scores()?;
            bail!(
                "the objective reads layer \"{}\", whose values are not finite: {bad}",
                self.trace.graph.nodes[id].name
            );
        }
        let leaf = Var::from_tensor(value)?;
        let tensor = leaf.as_tensor().clone();
        leaves.insert(id, leaf);
        Ok(Variable(tensor))
    }

    /// The score of a class for each picture, `(N)`, as a variable of the objective.
    fn score(&self, class: INT) -> Result<Variable> {
        let (logits, graph) = (self.logits()?.0, &self.trace.graph);
        let class = usize::try_from(class).ok().filter(|c| *c < graph.classes());
        let class = class.with_context(|| format!("no such class; the network has {} classes", graph.classes()))?;
        let own = logits.narrow(1, class, 1)?.squeeze(1)?;
        Ok(Variable(match (graph.scores, class) {
            (Scores::Pair, 0) => logits.narrow(1, 1, 1)?.squeeze(1)?.neg()?,
            _ => own,
        }))
    }

    fn logits(&self) -> Result<Variable> {
        let graph = &self.trace.graph;
        graph.check_classes()?;
        Ok(Variable(graph.scores.logits(&self.leaf(graph.logits)?.0)?))
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_indexer_get(|a: &mut Activations, layer: &str| -> Out<Variable> {
        out(a.trace.graph.find(layer).and_then(|id| a.leaf(id)))
    });
    engine.register_get("input", |a: &mut Activations| out(a.leaf(0)));
    engine.register_get("logits", |a: &mut Activations| out(a.logits()));
    engine.register_fn("class_score", |a: &mut Activations, class: INT| out(a.score(class)));
}

/// The scalar that an objective's closure returned, as a tensor of rank 0. Errors if the closure returned anything else.
fn scalar(answer: &Dynamic) -> Result<Tensor> {
    let Some(y) = answer.read_lock::<Variable>() else {
        bail!(
            "an objective must return a number computed from activations, like |a| (a[\"layer\"] ** 2).mean(); this objective returned {}",
            answer.type_name()
        );
    };
    ensure!(
        y.0.elem_count() == 1,
        "an objective must return one number, but this objective returned a tensor of shape {:?}; end it with sum() or mean()",
        y.0.dims()
    );
    Ok(y.0.reshape(())?)
}

fn finite(t: &Tensor) -> Result<bool> {
    Ok(wide(&t.abs()?.sum_all()?)?.to_scalar::<f64>()?.is_finite())
}
