//! The traces of forward passes, as exposed to scripts.

use super::Guard;
use crate::exec::Trace;
use crate::graph::named;
use crate::model::{Card, Model};
use crate::tensor;
use anyhow::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// A trace of a network, with the model card that names the classes.
#[derive(Clone)]
pub struct LabeledTrace {
    pub(in crate::script) trace: Arc<Trace>,
    pub(in crate::script) card: Arc<Card>,
}

impl LabeledTrace {
    /// The trace of a network on a batch `(N, C, H, W)`: the cached trace if there is one for this tensor, otherwise the trace of a new
    /// forward pass. Cancellation takes effect between layers.
    pub fn forward(guard: &Guard, model: &Model, x: &Tensor) -> Result<Self> {
        let x = &model.take(x)?;
        let trace = guard.recent.trace(&model.graph, x, || {
            guard.reserve_run(&model.graph, x.dims().first().copied().unwrap_or(1), tensor::row_dims(x))?;
            model.graph.forward_until(x, &|_| guard.tick())
        })?;
        Ok(Self { trace, card: model.card.clone() })
    }

    /// The scores of a batch, `(N, classes)`, computed without keeping a trace. Errors if a score is not finite.
    pub fn scores(guard: &Guard, model: &Model, x: &Tensor) -> Result<Tensor> {
        model.graph.check_scores(&model.take(x)?, Self::logits(guard, model, x)?)
    }

    /// The class with the highest score for each picture, `(N)`; -1 for a picture whose scores are not finite.
    pub fn named(guard: &Guard, model: &Model, x: &Tensor) -> Result<Tensor> {
        let logits = Self::logits(guard, model, x)?;
        let class = |top: Option<usize>| top.map_or(-1.0, |class| class as f64);
        let classes: Vec<_> = named(&logits)?.into_iter().map(class).collect();
        tensor::like(classes, logits.dims()[0], &logits)
    }

    /// A tensor `(N)` with 1 for each correctly classified picture, and 0 for the others. Pictures with non-finite scores count as
    /// incorrect.
    pub fn right(guard: &Guard, model: &Model, x: &Tensor, labels: &[usize]) -> Result<Tensor> {
        let logits = Self::logits(guard, model, x)?;
        let right = model.graph.scores.right(&logits, labels)?.into_iter().map(|yes| f64::from(u8::from(yes)));
        tensor::like(right.collect::<Vec<_>>(), logits.dims()[0], &logits)
    }

    /// The scores of a batch, `(N, classes)`, computed without keeping a trace. Scores may be non-finite.
    pub fn logits(guard: &Guard, model: &Model, x: &Tensor) -> Result<Tensor> {
        let x = &model.take(x)?;
        if let Some(trace) = guard.recent.kept(&model.graph, x) {
            return trace.logits();
        }
        let part = guard.reserve_parts(&model.graph, tensor::row_dims(x))?;
        model.graph.logits_in_parts(x, part, &|_| guard.tick())
    }

    /// The probabilities of the classes for each picture of the trace, `(N, classes)`.
    pub fn probabilities(&self) -> Result<Tensor> {
        self.trace.graph.scores.probabilities(&self.trace.scores()?)
    }

    /// The class with the highest logit for each picture of the trace.
    pub fn top(&self) -> Result<Vec<usize>> {
        self.trace.graph.scores.top(&self.trace.scores()?)
    }
}
