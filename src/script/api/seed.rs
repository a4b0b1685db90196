//! Seeds of the backward pass: `logit(class)`, `sum_of_logits()`, `cross_entropy(class)`, `margin(class)`, `at(layer, tensor)`,
//! objectives, and seeds multiplied by a number or by one number per picture.

use super::objective::Objective;
use super::{LabeledTrace, classes, in_type_of, out};
use crate::exec::Trace;
use crate::explain;
use crate::graph::{NodeId, Scores};
use anyhow::{Result, bail, ensure};
use candle_core::{Device, Tensor};
use rhai::{Dynamic, Engine, FLOAT, FnPtr, INT, NativeCallContext};

/// A seed of the backward pass, not yet bound to a trace.
#[derive(Clone)]
pub enum Seed {
    /// The logit of a class: one class for all rows, or one class per row.
    Logit(Vec<usize>),
    /// The sum of the logits of all classes.
    Sum,
    /// The cross-entropy of a class; for a network with independent scores, the binary cross-entropy.
    CrossEntropy(Vec<usize>),
    /// The margin by which a class is predicted, as computed by [`Scores::margin`].
    Margin(Vec<usize>),
    /// A tensor of gradients at the output of the layer with the given name.
    At(String, Tensor),
    /// The gradients of an objective, a scalar computed from activations.
    Objective(Objective),
    /// Another seed, multiplied by one number or by one number per picture.
    Times(Box<Self>, Tensor),
}

impl Seed {
    /// The nodes of `trace` at which the backward pass starts, with the seed's gradient at each.
    pub(super) fn on(&self, trace: &Trace) -> Result<Vec<(NodeId, Tensor)>> {
        let at_logits = |f: fn(Scores, &Tensor, &[usize]) -> Result<Tensor>, classes: &[usize]| {
            Ok(vec![trace.seed(&f(trace.graph.scores, &trace.scores()?, classes)?)?])
        };
        match self {
            Self::Logit(c) => at_logits(explain::score, c),
            Self::Sum => at_logits(|_, logits, _| explain::sum(logits), &[]),
            Self::CrossEntropy(c) => at_logits(explain::loss, c),
            Self::Margin(c) => at_logits(explain::lead, c),
            Self::At(layer, tensor) => Ok(vec![(trace.graph.find(layer)?, tensor.clone())]),
            Self::Objective(objective) => objective.on(trace),
            Self::Times(seed, weight) => {
                seed.on(trace)?.into_iter().map(|(id, seed)| Ok((id, weighted(&seed, weight)?))).collect()
            }
        }
    }

    fn times(self, weight: Tensor) -> Self {
        Self::Times(self.into(), weight)
    }

    fn scaled(self, weight: f64) -> Result<Self> {
        Ok(self.times(Tensor::new(weight, &Device::Cpu)?))
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("logit", |class: Dynamic| out(classes(&class).map(Seed::Logit)));
    engine.register_fn("sum_of_logits", || Seed::Sum);
    engine.register_fn("cross_entropy", |class: Dynamic| out(classes(&class).map(Seed::CrossEntropy)));
    engine.register_fn("margin", |class: Dynamic| out(classes(&class).map(Seed::Margin)));
    engine.register_fn("at", |layer: &str, tensor: Tensor| Seed::At(layer.into(), tensor));
    engine.register_fn("objective", |context: NativeCallContext, trace: LabeledTrace, closure: FnPtr| {
        out(Objective::new(&context, &trace, &closure).map(Seed::Objective))
    });
    engine.register_get("value", |seed: &mut Seed| out(value(seed)));
    engine.register_fn("*", |weight: Tensor, seed: Seed| seed.times(weight));
    engine.register_fn("*", |seed: Seed, weight: Tensor| seed.times(weight));
    engine.register_fn("*", |weight: FLOAT, seed: Seed| out(seed.scaled(weight)));
    engine.register_fn("*", |seed: Seed, weight: FLOAT| out(seed.scaled(weight)));
    engine.register_fn("*", |weight: INT, seed: Seed| out(seed.scaled(weight as FLOAT)));
    engine.register_fn("*", |seed: Seed, weight: INT| out(seed.scaled(weight as FLOAT)));
    engine.register_fn("-", |seed: Seed| out(seed.scaled(-1.0)));
}

/// Multiplies the seed of `n` pictures by one number or by `n` numbers, one per picture.
fn weighted(seed: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (n, rest) = (seed.dims()[0], seed.rank() - 1);
    let count = weight.elem_count();
    ensure!(
        count == 1 || count == n,
        "a seed for {n} pictures can be multiplied by one number or by {n} numbers, got {count}"
    );
    let weight = in_type_of(seed, &weight.to_device(seed.device())?)?.reshape([vec![count], vec![1; rest]].concat())?;
    Ok(seed.broadcast_mul(&weight)?)
}

/// The value of a seed that is an objective. Errors for other seeds.
fn value(seed: &Seed) -> Result<f64> {
    match seed {
        Seed::Objective(objective) => Ok(objective.value),
        _ => bail!("only an objective(trace, |a| …) has a value; a class's logit is trace.score(class)"),
    }
}
