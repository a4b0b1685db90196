//! How to train: epochs, batches, rates, what is drawn and from which seed.

use super::batch::Batches;
use super::{Adversary, Init, Optimizer, Schedule};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingOptions {
    /// How often each picture is seen.
    pub epochs: usize,
    /// Pictures of one step; the last of an epoch may have fewer.
    pub batch: usize,
    /// The learning rate that the schedule starts from.
    pub rate: f64,
    /// How gradients become steps.
    pub optimizer: Optimizer,
    /// How the rate changes.
    pub schedule: Schedule,
    /// `λ` of the penalty `λ/2 · |w|²`, added to the gradient as PyTorch's SGD and Adam do.
    pub weight_decay: f64,
    /// How first weights are drawn.
    pub init: Init,
    /// What weights, order and shifts are drawn from.
    pub seed: u64,
    /// Pictures are moved by up to this many pixels in either direction, their edges repeated.
    pub shift: usize,
    /// Whether half of the pictures are mirrored left to right.
    pub flip: bool,
    /// The attack that pictures undergo before they are learnt from.
    #[serde(default)]
    pub adversary: Option<Adversary>,
    /// Epochs without a better result on other pictures after which it ends, with the weights of the best; 0: never.
    #[serde(default)]
    pub patience: usize,
}

impl Default for TrainingOptions {
    fn default() -> Self {
        Self {
            epochs: 5,
            batch: 64,
            rate: 1e-3,
            optimizer: Optimizer::adam(),
            schedule: Schedule::Cosine,
            weight_decay: 0.0,
            init: Init::He,
            seed: 0,
            shift: 0,
            flip: false,
            adversary: None,
            patience: 0,
        }
    }
}

impl TrainingOptions {
    /// The batches of all epochs of `count` pictures.
    pub(super) fn batches(&self, count: usize) -> Batches {
        Batches::new(count, self.batch, self.seed, self.shift, self.flip)
    }

    /// Errors where a number is out of range.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(self.epochs > 0 && self.batch > 0, "training needs at least one epoch and one picture a batch");
        ensure!(self.rate.is_finite() && self.rate > 0.0, "a learning rate of {}; it must be above 0", self.rate);
        ensure!(
            self.weight_decay.is_finite() && self.weight_decay >= 0.0,
            "a weight decay of {}; it must be 0 or more",
            self.weight_decay
        );
        if let Some(adversary) = &self.adversary {
            adversary.check()?;
        }
        self.schedule.check()?;
        self.optimizer.check()
    }
}
