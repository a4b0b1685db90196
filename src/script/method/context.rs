//! The context `cx`, passed to a method's functions.

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
    /// Reports the progress of `what`: `done` of `total` parts. `total` is 0 if unknown.
    fn progress(&self, what: &str, done: usize, total: usize);
}

/// An observer that ignores figures and progress.
pub struct NoObserver;

impl Observer for NoObserver {
    fn show(&self, _: Vec<Figure>) {}
    fn progress(&self, _: &str, _: usize, _: usize) {}
}

/// The context of a running method: its input, parameters and environment.
#[derive(Clone)]
pub struct Cx {
    /// The network to which the method is applied.
    pub model: Model,
    /// The input picture, `(1, C, H, W)` in `[0, 1]`, or a batch of pictures `(N, C, H, W)`.
    pub input: Tensor,
    /// The name by which the picture was opened, such as `cifar10:FILE[17]` or a file path; `None` if the picture was computed or modified.
    pub source: Option<Arc<str>>,
    /// The target class of each picture; an error if no class was specified and the network's scores are not finite.
    pub targets: Result<Vec<usize>, ScoresNotFinite>,
    /// The data set of the session, for methods that use one.
    pub data: Arc<Data>,
    /// The method's parameters with their current values.
    pub params: Arc<Params>,
    /// Records the effective values of parameters that the method reports.
    pub used: Arc<UsedValues>,
    /// The index of the step being computed; 0 for the initial state.
    pub step: usize,
    /// The random seed.
    pub seed: u64,
    /// The call stack of methods, outermost first.
    pub asked: Vec<String>,
    /// The random stream: 0 for attributions and attacks, 1 for all other methods, whose noise is thus independent of
    /// the noise of the attributions and attacks they call.
    pub stream: u64,
    /// The number of random draws so far in this step.
    pub draws: Arc<AtomicU64>,
    /// Receives figures and progress reports from the running method.
    pub observer: Arc<dyn Observer>,
}

impl Cx {
    /// Returns a random number generator keyed by seed, step, draw and stream, so that results are reproducible. Each call counts
    /// as one draw.
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
