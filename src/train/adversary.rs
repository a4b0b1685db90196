//! Adversarial training: the network is trained on attacked pictures.

use super::batch::Batches;
use crate::backend;
use crate::explain::{Walk, loss_of_labels};
use crate::graph::Graph;
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The `purpose` of the random streams for random starts. The purposes of the streams for dropout masks are derived from node indices.
const PURPOSE: u64 = 1 << 20;

/// An attack within a box around each picture, and the weight of clean pictures in the loss.
///
/// The loss is `α J(x) + (1 − α) J(x')`. One step is FGSM (Goodfellow, Shlens & Szegedy 2015, arXiv:1412.6572), one step from a random
/// start is the method of Wong, Rice & Kolter 2020 (arXiv:2001.03994), and several steps are PGD training (Madry et al. 2018,
/// arXiv:1706.06083).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adversary {
    /// Radius of the box in the L∞ norm, above 0 and at most 1.
    pub epsilon: f64,
    /// Number of steps of the attack.
    pub steps: usize,
    /// Size of each step in the L∞ norm, above 0 and at most 2.
    pub step: f64,
    /// Whether to start at a random point in the box.
    pub random_start: bool,
    /// `α`, the weight of the loss on unperturbed pictures, in `[0, 1)`.
    pub alpha: f64,
    /// Number of epochs during which the box grows from zero to its full size; training with a large box from the start may fail.
    #[serde(default)]
    pub warmup: f64,
}

impl Adversary {
    /// An attack of `steps` steps within `epsilon`, with `α = 0.5`. Step sizes follow the papers: `ε` for a single step from the
    /// picture, `1.25 ε` for a single step from a random start, `2.5 ε / steps` for several.
    pub fn new(epsilon: f64, steps: usize, random_start: bool) -> Self {
        let step = match steps {
            1 if random_start => 1.25 * epsilon,
            1 => epsilon,
            _ => 2.5 * epsilon / steps as f64,
        };
        Self { epsilon, steps, step, random_start, alpha: 0.5, warmup: 0.0 }
    }

    /// The attack after `epochs` epochs, with its radius and step size scaled by the warm-up.
    pub(super) fn after(&self, epochs: f64) -> Self {
        let share = if epochs < self.warmup { epochs / self.warmup } else { 1.0 };
        Self { epsilon: self.epsilon * share, step: self.step * share, ..*self }
    }

    /// Errors if a parameter is out of range.
    pub(super) fn check(&self) -> Result<()> {
        let Self { epsilon, steps, step, alpha, warmup, .. } = *self;
        ensure!(epsilon > 0.0 && epsilon <= 1.0, "the attack's epsilon is {epsilon}; it must be above 0 and at most 1");
        ensure!(
            steps > 0 && step > 0.0 && step <= 2.0,
            "the attack has {steps} steps of size {step}; both must be above 0, and the size at most 2"
        );
        ensure!(warmup.is_finite() && warmup >= 0.0, "the warm-up is {warmup} epochs; it must be 0 or more");
        ensure!(
            (0.0..1.0).contains(&alpha),
            "alpha, the weight of the loss on unperturbed pictures, is {alpha}; it must be at least 0 and below 1"
        );
        Ok(())
    }

    /// Perturbs the pictures `x` to increase the loss for their labels.
    pub(super) fn attack(
        &self,
        graph: &Arc<Graph>,
        x: &Tensor,
        labels: &[usize],
        (batches, numbers, epoch): (&Batches, &[usize], usize),
    ) -> Result<Tensor> {
        let mut moved = match self.random_start {
            true => self.inside(x, &(x + self.noise(x, batches, numbers, epoch)?)?)?,
            false => x.clone(),
        };
        for _ in 0..self.steps {
            let trace = graph.forward(&moved)?;
            let (_, seed) = loss_of_labels(graph.scores, &trace.scores()?, labels)?;
            let walk = Walk { keep: false, ..Walk::gradient(&trace, vec![trace.seed(&seed)?]) };
            let gradient = walk.run()?.values.remove(&0).context("the gradient did not reach the picture")?;
            let sign = backend::sign(&gradient)?;
            moved = self.inside(x, &(moved + (sign * self.step)?)?)?;
        }
        Ok(moved)
    }

    fn noise(&self, x: &Tensor, batches: &Batches, numbers: &[usize], epoch: usize) -> Result<Tensor> {
        let each = x.elem_count() / numbers.len();
        let rows = numbers.iter().flat_map(|&n| {
            let mut random = batches.of_picture(epoch, n, PURPOSE);
            (0..each).map(move |_| (random.random::<f64>() * 2.0 - 1.0) as f32)
        });
        let noise = Tensor::from_vec(rows.collect::<Vec<_>>(), x.shape(), x.device())?.to_dtype(x.dtype())?;
        Ok((noise * self.epsilon)?)
    }

    /// Projects `moved` onto the box around `x` and clamps its values to `[0, 1]`.
    fn inside(&self, x: &Tensor, moved: &Tensor) -> Result<Tensor> {
        let delta = backend::clamp(&(moved - x)?, -self.epsilon, self.epsilon)?;
        backend::clamp(&(x + delta)?, 0.0, 1.0)
    }
}
