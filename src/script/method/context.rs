//! `cx`: what a method is given to answer a question.

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

/// Who watches while a method runs.
pub trait Observer: Send + Sync {
    /// Figures to show at once.
    fn show(&self, figures: Vec<Figure>);
    /// How far a long computation is; `total` 0 when unknown.
    fn progress(&self, what: &str, done: usize, total: usize);
}

/// An observer that ignores everything.
pub struct NoObserver;

impl Observer for NoObserver {
    fn show(&self, _: Vec<Figure>) {}
    fn progress(&self, _: &str, _: usize, _: usize) {}
}

/// The question a method answers.
#[derive(Clone)]
pub struct Cx {
    /// The network.
    pub model: Model,
    /// The picture, `(1, C, H, W)` in `[0, 1]`; or a batch of them.
    pub input: Tensor,
    /// What the picture was opened as, `cifar10:FILE[17]` or a file; none for one that was made or changed.
    pub source: Option<Arc<str>>,
    /// The class asked about, of each picture; none where the network names none and no class was chosen.
    pub targets: Result<Vec<usize>, ScoresNotFinite>,
    /// The data set, for methods that ask one.
    pub data: Arc<Data>,
    /// The parameters.
    pub params: Arc<Params>,
    /// What was used in place of their values.
    pub used: Arc<UsedValues>,
    /// The number of the step that is computed; 0 at the start.
    pub step: usize,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Names of the methods that led here, each asked by the one before; the last is the one that runs.
    pub asked: Vec<String>,
    /// Which of two streams random numbers come from: a method that asks others has noise of its own, not theirs.
    pub stream: u64,
    /// Draws of random numbers so far in this step.
    pub draws: Arc<AtomicU64>,
    /// Who watches.
    pub observer: Arc<dyn Observer>,
}

impl Cx {
    /// A generator keyed by (seed, step, draw, stream): the same question gives the same numbers.
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
