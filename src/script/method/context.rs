//! `cx`, the argument of a method's functions.

use super::data::Data;
use super::params::Params;
use super::remarks::UsedValues;
use crate::exec::ScoresNotFinite;
use crate::model::Model;
use crate::render::Figure;
use candle_core::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Receives figures and progress while a method runs.
pub trait Observer: Send + Sync {
    /// Shows figures immediately.
    fn show(&self, figures: Vec<Figure>);
    /// Reports the progress of a long computation; `total` is 0 if unknown.
    fn progress(&self, what: &str, done: usize, total: usize);
}

/// An observer that ignores everything.
pub struct NoObserver;

impl Observer for NoObserver {
    fn show(&self, _: Vec<Figure>) {}
    fn progress(&self, _: &str, _: usize, _: usize) {}
}

/// The context of a method: its input, parameters and environment.
#[derive(Clone)]
pub struct Cx {
    /// The network.
    pub model: Model,
    /// The picture, `(1, C, H, W)` in `[0, 1]`, or a batch of pictures `(N, C, H, W)`.
    pub input: Tensor,
    /// How the picture was opened: `cifar10:FILE[17]` or a file; `None` if it was computed or changed.
    pub source: Option<Arc<str>>,
    /// The target class of each picture; an error if none was chosen and the network's scores are not finite.
    pub targets: Result<Vec<usize>, ScoresNotFinite>,
    /// The data set, for methods that use one.
    pub data: Arc<Data>,
    /// The parameters.
    pub params: Arc<Params>,
    /// Values used in place of the parameters' own.
    pub used: Arc<UsedValues>,
    /// The index of the step being computed; 0 at the start.
    pub step: usize,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The call stack: names of methods, each called by the one before; the last one is running.
    pub asked: Vec<String>,
    /// Which of two streams random numbers come from, so that a method and the methods it calls have independent noise.
    pub stream: u64,
    /// The number of random draws so far in this step.
    pub draws: Arc<AtomicU64>,
    /// Receives figures and progress.
    pub observer: Arc<dyn Observer>,
}

impl Cx {
    /// A generator keyed by (seed, step, draw, stream), so that results are reproducible.
    pub(crate) fn random(&self) -> ChaCha8Rng {
        let draw = self.draws.fetch_add(1, Ordering::Relaxed);
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&(self.step as u64).to_le_bytes());
        key[16..24].copy_from_slice(&draw.to_le_bytes());
        key[24..].copy_from_slice(&self.stream.to_le_bytes());
        ChaCha8Rng::from_seed(key)
    }
}
