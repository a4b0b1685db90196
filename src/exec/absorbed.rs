//! Relevance that a rule absorbs at a layer.

use std::ops::AddAssign;

/// Relevance that does not reach the inputs, by where it went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Absorbed {
    /// Absorbed by the bias in the denominator.
    pub bias: f64,
    /// Absorbed by the denominator's stabilizer.
    pub stabilizer: f64,
    /// Lost: it belongs to a part without contributions, such as the negative part if all contributions are positive.
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
    /// The sum of all parts.
    pub fn total(&self) -> f64 {
        self.bias + self.stabilizer + self.missing
    }
}
