//! Relevance that a rule absorbs in a layer.

use std::ops::AddAssign;

/// Relevance that a rule does not propagate to a layer's inputs, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Absorbed {
    /// Relevance absorbed by the bias in the denominator.
    pub bias: f64,
    /// Relevance absorbed by the denominator's stabilizer.
    pub stabilizer: f64,
    /// Relevance lost because there are no contributions to distribute it to; for example, a value may have no negative
    /// contributions.
    pub missing: f64,
}

impl AddAssign for Absorbed {
    fn add_assign(&mut self, other: Self) {
        self.bias += other.bias;
        self.stabilizer += other.stabilizer;
        self.missing += other.missing;
    }
}

impl Absorbed {
    /// Total absorbed relevance.
    pub fn total(&self) -> f64 {
        self.bias + self.stabilizer + self.missing
    }
}
