//! Options of a training run, with their defaults and checks.

use super::batch::Batches;
use super::{Adversary, Init, Optimizer, Schedule};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// Options of a training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingOptions {
    /// Number of epochs, at least 1.
    pub epochs: usize,
    /// Batch size; the last batch of an epoch may be smaller.
    pub batch: usize,
    /// Base learning rate, which the schedule scales.
    pub rate: f64,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The learning rate schedule.
    pub schedule: Schedule,
    /// Factor `λ` of the penalty `λ/2 · |w|²` on the weights, whose gradient is added as in PyTorch's SGD and Adam; 0 or more.
    pub weight_decay: f64,
    /// Distribution of the initial weights.
    pub init: Init,
    /// Seed for initial weights, the order of pictures, augmentation and dropout.
    pub seed: u64,
    /// Maximum random shift of a picture in pixels, horizontally and vertically; edge pixels are repeated.
    pub shift: usize,
    /// Whether to flip pictures horizontally with probability one half.
    pub flip: bool,
    /// Attack for adversarial training; `None` for training on unperturbed pictures only.
    #[serde(default)]
    pub adversary: Option<Adversary>,
    /// Number of epochs without improvement on the test set after which training stops and the best weights are kept; 0 disables
    /// early stopping.
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
    /// The batches of all epochs for `count` pictures.
    pub(super) fn batches(&self, count: usize) -> Batches {
        Batches::new(count, self.batch, self.seed, self.shift, self.flip)
    }

    /// Errors if an option is out of range.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(self.epochs > 0 && self.batch > 0, "training needs at least one epoch and one picture per batch");
        ensure!(self.rate.is_finite() && self.rate > 0.0, "the learning rate is {}; it must be above 0", self.rate);
        ensure!(
            self.weight_decay.is_finite() && self.weight_decay >= 0.0,
            "the weight decay is {}; it must be 0 or more",
            self.weight_decay
        );
        if let Some(adversary) = &self.adversary {
            adversary.check()?;
        }
        self.schedule.check()?;
        self.optimizer.check()
    }
}
