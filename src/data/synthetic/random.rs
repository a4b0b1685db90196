//! Random numbers by place: each picture of a set has its own stream, so that they can be made in any order.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::ops::Range;

/// A picture's own random numbers.
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of picture `i` of the set of this seed.
    pub fn of(seed: u64, i: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(i as u64);
        Self(rng)
    }

    /// A number of this range, each alike.
    pub fn within(&mut self, range: Range<f32>) -> f32 {
        range.start + (range.end - range.start) * self.0.random::<f32>()
    }

    /// A number of mean 0 and standard deviation 1, as the sum of four; at most 3.5 away.
    pub fn bell(&mut self) -> f32 {
        (0..4).map(|_| self.within(-0.866..0.866)).sum()
    }

    /// An index below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        self.0.random_range(0..count)
    }

    /// True in this share of all cases.
    pub fn chance(&mut self, share: f32) -> bool {
        self.0.random::<f32>() < share
    }
}

/// The pictures of a set one after another, drawn in parallel: `draw(random, i, picture)`.
pub fn drawn(seed: u64, count: usize, size: usize, draw: impl Fn(&mut Random, usize, &mut [u8]) + Sync) -> Vec<u8> {
    let mut pixels = vec![0; count * size];
    let pictures = pixels.par_chunks_exact_mut(size).enumerate();
    pictures.for_each(|(i, picture)| draw(&mut Random::of(seed, i), i, picture));
    pixels
}
