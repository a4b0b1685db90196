//! What a rule keeps back of the relevance that reaches a node.

use std::ops::AddAssign;

/// Relevance that does not go on to the inputs, by where it went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Absorbed {
    /// To the bias in the denominator.
    pub bias: f64,
    /// To what keeps the denominator from 0.
    pub stabilizer: f64,
    /// Nowhere: it belongs to a part that has no contributions, as the negative part where all are positive.
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
    /// All of it.
    pub fn total(&self) -> f64 {
        self.bias + self.stabilizer + self.missing
    }
}
