//! The training loop: trains epoch by epoch, tests after each epoch, and stops early when the patience runs out.

use super::trainer::BestResult;
use super::{StepReport, Trainer};
use crate::data::{Dataset, create_folder};
use crate::graph::Graph;
use crate::model::{Accuracy, Card, Model, evaluate};
use anyhow::{Context, Result};
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Interval between checkpoints; a killed process loses at most this much work.
const EVERY: Duration = Duration::from_secs(15);

/// Completes a training run, testing the network and writing checkpoints along the way.
pub struct TrainingLoop<'a> {
    /// The training run.
    pub trainer: Trainer,
    /// Metadata of the network.
    pub card: &'a Card,
    /// The data set on which the network is tested after each epoch.
    pub test: Option<&'a Dataset>,
    /// The file to which checkpoints are written, from which training can resume.
    pub checkpoint: Option<&'a Path>,
    /// The folder to which the weights are written before the first epoch and after each one.
    pub epochs: Option<&'a Path>,
}

/// Progress of a training run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TrainEvent {
    /// A batch has been completed.
    Batch(StepReport),
    /// An epoch has been completed.
    Epoch {
        /// The epoch, one-based.
        epoch: usize,
        /// Total number of epochs.
        epochs: usize,
        /// Mean loss over the epoch's batches completed since training was started or resumed.
        loss: f64,
        /// Accuracy on the test set; `None` without a test set.
        count: Option<Accuracy>,
    },
}

impl TrainingLoop<'_> {
    /// Trains until the run is over or `on` returns `Break`; returns whether the run is over.
    ///
    /// Errors if a training step fails or a checkpoint cannot be written.
    pub fn run(&mut self, on: &mut dyn FnMut(&TrainEvent) -> ControlFlow<()>) -> Result<bool> {
        self.judge_again()?;
        if self.trainer.progress().0 == 0 {
            self.keep_epoch(0)?;
        }
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
                self.keep_epoch(epoch)?;
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

    /// Writes the weights after an epoch, numbered from 1, or before the first one.
    fn keep_epoch(&self, epoch: usize) -> Result<()> {
        let Some(folder) = self.epochs else { return Ok(()) };
        create_folder(folder)?;
        self.trainer.write_current(&folder.join(format!("epoch-{epoch:04}.safetensors")))
    }

    /// Tests the network if the run was interrupted right after an epoch, because that epoch's test may not have run.
    fn judge_again(&mut self) -> Result<()> {
        let (done, per_epoch) = (self.trainer.progress().0, self.trainer.batches.per_epoch());
        if self.trainer.options.patience > 0 && done > 0 && done.is_multiple_of(per_epoch) {
            let count = self.measure(self.trainer.graph().clone())?;
            self.trainer.judge(done / per_epoch, count);
        }
        Ok(())
    }

    /// Accuracy of the resulting weights on the test set; `None` without a test set.
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
    /// Whether all epochs are done or the patience for early stopping has run out.
    pub fn is_over(&self) -> bool {
        let (done, all) = self.progress();
        let waited = |best: &BestResult| done / self.batches.per_epoch() >= best.epoch + self.options.patience;
        done >= all || (self.options.patience > 0 && self.best.as_ref().is_some_and(waited))
    }

    /// The resulting weights: the best on the test set with early stopping, otherwise the last.
    pub fn result(&self) -> BTreeMap<String, Tensor> {
        self.best.as_ref().map_or_else(|| self.weights(), |best| best.weights.clone())
    }

    /// With early stopping, keeps the current weights if their result on the test set, `count`, is the best so far.
    fn judge(&mut self, epoch: usize, count: Option<Accuracy>) {
        let Some(Accuracy { correct, .. }) = count.filter(|_| self.options.patience > 0) else { return };
        if self.best.as_ref().is_none_or(|best| correct > best.correct) {
            self.best = Some(BestResult { epoch, correct, weights: self.weights() });
        }
    }
}
