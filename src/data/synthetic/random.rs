//! Random numbers by index: each picture of a data set has its own random stream, so pictures can be generated in any order.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::ops::Range;

/// The random number stream of one picture.
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of picture `i` in the data set with seed `seed`.
    pub fn of(seed: u64, i: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(i as u64);
        Self(rng)
    }

    /// A uniformly distributed value in `range`.
    pub fn within(&mut self, range: Range<f32>) -> f32 {
        range.start + (range.end - range.start) * self.0.random::<f32>()
    }

    /// An approximately normally distributed value with mean 0 and standard deviation 1: the sum of four uniform values, of
    /// magnitude at most 3.5.
    pub fn bell(&mut self) -> f32 {
        (0..4).map(|_| self.within(-0.866..0.866)).sum()
    }

    /// A uniformly distributed integer from 0 to `count` − 1.
    pub fn below(&mut self, count: usize) -> usize {
        self.0.random_range(0..count)
    }

    /// Returns true with probability `share`, in `[0, 1]`.
    pub fn chance(&mut self, share: f32) -> bool {
        self.0.random::<f32>() < share
    }
}

/// The pixels of a data set, generated in parallel: `draw(random, i, picture)` fills picture `i` of `size` bytes.
pub fn drawn(seed: u64, count: usize, size: usize, draw: impl Fn(&mut Random, usize, &mut [u8]) + Sync) -> Vec<u8> {
    let mut pixels = vec![0; count * size];
    let pictures = pixels.par_chunks_exact_mut(size).enumerate();
    pictures.for_each(|(i, picture)| draw(&mut Random::of(seed, i), i, picture));
    pixels
}
