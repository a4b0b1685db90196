//! Objectives: `objective(trace, |a| (a["features.7"] ** 2).mean())`, one number made of any activations.
//!
//! The closure is given the activations by name, and what it asks for is a leaf that candle differentiates its
//! expression by. That small expression is all that candle differentiates; the gradients at the leaves are seeds of
//! the walk.

use super::{LabelledTrace, Out, Variable, out};
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

/// What an objective's closure is given: `a["layer"]`, `a.logits`, `a.input`.
#[derive(Clone)]
pub(super) struct Activations {
    trace: Arc<Trace>,
    leaves: Arc<Mutex<BTreeMap<NodeId, Var>>>,
}

/// A number that depends on activations of one run, with its gradient at each that it was made of.
#[derive(Clone)]
pub struct Objective {
    /// The number.
    pub value: f64,
    trace: Arc<Trace>,
    seeds: Vec<(NodeId, Tensor)>,
}

impl Objective {
    /// Computes a closure's number and differentiates it.
    ///
    /// Errors where the closure gives no single number, or reads a layer that its number has no gradient by.
    pub fn new(context: &NativeCallContext, run: &LabelledTrace, closure: &FnPtr) -> Result<Self> {
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
                    "the objective reads layer \"{name}\" but has no gradient by it; what is meant as a constant is \
                     trace[\"{name}\"]"
                )
            })?;
            ensure!(
                finite(gradient)?,
                "the objective's gradient by layer \"{name}\" is infinite or no number, as that of a root or a \
                 logarithm at zero is; add a small number below it"
            );
            Ok((id, gradient.detach()))
        };
        let seeds = leaves.iter().map(seed).collect::<Result<Vec<_>>>()?;
        let value = wide(&y)?.to_scalar()?;
        drop(leaves);
        Ok(Self { value, trace, seeds })
    }

    /// Its gradients as seeds on the run that it was computed on; errors on another.
    pub fn on(&self, trace: &Trace) -> Result<Vec<(NodeId, Tensor)>> {
        let same = std::ptr::eq(&*self.trace, trace);
        ensure!(same, "the objective was computed on another run; give its closure to backward(), or compute it anew");
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

    /// The score of a class, `(N)`.
    fn score(&self, class: INT) -> Result<Variable> {
        let (logits, graph) = (self.logits()?.0, &self.trace.graph);
        let class = usize::try_from(class).ok().filter(|c| *c < graph.classes());
        let class = class.with_context(|| format!("there are {} classes", graph.classes()))?;
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

/// The only number of an objective's answer, of rank 0.
fn scalar(answer: &Dynamic) -> Result<Tensor> {
    let Some(y) = answer.read_lock::<Variable>() else {
        bail!(
            "an objective gives a number made of activations, as |a| (a[\"layer\"] ** 2).mean() does; this one gave {}",
            answer.type_name()
        );
    };
    ensure!(
        y.0.elem_count() == 1,
        "an objective gives one number, this one gave a tensor of shape {:?}; end it with sum() or mean()",
        y.0.dims()
    );
    Ok(y.0.reshape(())?)
}

fn finite(t: &Tensor) -> Result<bool> {
    Ok(wide(&t.abs()?.sum_all()?)?.to_scalar::<f64>()?.is_finite())
}
