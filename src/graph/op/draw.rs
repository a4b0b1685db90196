//! Random sizes for test cases.

/// A random number generator for sizes, reproducible on every machine (SplitMix64).
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// A generator with the given seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A random integer from `low` to `high`, inclusive.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        low + ((z ^ (z >> 31)) % (high - low + 1) as u64) as usize
    }

    /// Two random integers from `low` to `high`, inclusive.
    pub fn pair(&mut self, low: usize, high: usize) -> (usize, usize) {
        (self.between(low, high), self.between(low, high))
    }

    /// A random boolean, which is `true` with probability 1/2.
    pub fn coin(&mut self) -> bool {
        self.between(0, 1) == 1
    }

    /// A random shape `(N, C, H, W)` with 1 to 3 pictures, 1 to 4 channels, and 5 to 9 rows and columns.
    pub fn map(&mut self) -> [usize; 4] {
        [self.between(1, 3), self.between(1, 4), self.between(5, 9), self.between(5, 9)]
    }
}
