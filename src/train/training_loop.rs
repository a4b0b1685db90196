//! A whole training: epoch after epoch, measured with other pictures after each, and ended early where these say so.

use super::trainer::BestResult;
use super::{StepReport, Trainer};
use crate::data::Dataset;
use crate::graph::Graph;
use crate::model::{Accuracy, Card, Model, evaluate};
use anyhow::{Context, Result};
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A kill loses no more than this.
const EVERY: Duration = Duration::from_secs(15);

/// A training from where it stands to its end.
pub struct TrainingLoop<'a> {
    /// What is trained.
    pub trainer: Trainer,
    /// What is known of the network.
    pub card: &'a Card,
    /// The pictures it is measured with.
    pub test: Option<&'a Dataset>,
    /// Where it is kept, so that it can be resumed.
    pub checkpoint: Option<&'a Path>,
}

/// What happens on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TrainEvent {
    /// A batch was learnt from.
    Batch(StepReport),
    /// An epoch is over.
    Epoch {
        /// Its number, from 1.
        epoch: usize,
        /// How many there are.
        epochs: usize,
        /// Mean cross entropy of its batches since training was begun or resumed.
        loss: f64,
        /// What came of the test.
        count: Option<Accuracy>,
    },
}

impl TrainingLoop<'_> {
    /// Trains to the end, or until `on` breaks; true at the end.
    ///
    /// Errors: as for [`Trainer::step`], and where the checkpoint cannot be written.
    pub fn run(&mut self, on: &mut dyn FnMut(&TrainEvent) -> ControlFlow<()>) -> Result<bool> {
        self.judge_again()?;
        while !self.trainer.is_over() {
            let (mut losses, mut ended, mut stopped) = (vec![], None, false);
            let mut batch = |report: &StepReport| {
                losses.push(report.loss);
                stopped = on(&TrainEvent::Batch(*report)).is_break();
                ended = (report.batch == report.batches).then_some(*report);
                if stopped || ended.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            self.trainer.run(self.checkpoint, EVERY, &mut batch)?;
            if let Some(StepReport { epoch, epochs, .. }) = ended {
                let count = self.measure(self.trainer.graph().clone())?;
                self.trainer.judge(epoch, count);
                let loss = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
                stopped |= on(&TrainEvent::Epoch { epoch, epochs, loss, count }).is_break();
                if let Some(file) = self.checkpoint.filter(|_| self.trainer.best.is_some()) {
                    self.trainer.save(file)?;
                }
            }
            if stopped {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A training that was killed right behind an epoch may not have judged it; one that did comes to the same verdict again.
    fn judge_again(&mut self) -> Result<()> {
        let (done, per_epoch) = (self.trainer.progress().0, self.trainer.batches.per_epoch());
        if self.trainer.options.patience > 0 && done > 0 && done.is_multiple_of(per_epoch) {
            let count = self.measure(self.trainer.graph().clone())?;
            self.trainer.judge(done / per_epoch, count);
        }
        Ok(())
    }

    /// How many of the test's pictures the weights that it gives name rightly; none: there is no test.
    pub fn result(&self) -> Result<Option<Accuracy>> {
        self.measure(self.trainer.graph().with_weights(self.trainer.result())?.into())
    }

    fn measure(&self, graph: Arc<Graph>) -> Result<Option<Accuracy>> {
        let Some(test) = self.test else { return Ok(None) };
        let model = Model { card: self.card.clone().into(), graph, hash: "".into(), taken: "".into() };
        evaluate(&model, test, &mut |_| Ok(())).context("testing the network").map(Some)
    }
}

impl Trainer {
    /// Whether all epochs are done, or patience is at its end.
    pub fn is_over(&self) -> bool {
        let (done, all) = self.progress();
        let waited = |best: &BestResult| done / self.batches.per_epoch() >= best.epoch + self.options.patience;
        done >= all || (self.options.patience > 0 && self.best.as_ref().is_some_and(waited))
    }

    /// The weights that training gave: the best on other pictures where it was patient, else the last.
    pub fn result(&self) -> BTreeMap<String, Tensor> {
        self.best.as_ref().map_or_else(|| self.weights(), |best| best.weights.clone())
    }

    /// Keeps the weights after an epoch where they are the best so far, and that is asked for.
    fn judge(&mut self, epoch: usize, count: Option<Accuracy>) {
        let Some(Accuracy { correct, .. }) = count.filter(|_| self.options.patience > 0) else { return };
        if self.best.as_ref().is_none_or(|best| correct > best.correct) {
            self.best = Some(BestResult { epoch, correct, weights: self.weights() });
        }
    }
}
