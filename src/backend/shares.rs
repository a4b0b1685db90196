//! Relevance distributed over the terms of a sum, and the relevance absorbed by the division.

use candle_core::Tensor;

/// The quotient `s = r / (z + ε sign z)`, where `sign(0) = +1`, and the relevance that the division absorbs.
#[derive(Clone, Debug)]
pub struct Shares {
    /// The quotient, of the shape of `r`.
    pub s: Tensor,
    /// Relevance absorbed by the bias, `Σ b[c] s[n, c, …]`.
    pub bias: f64,
    /// Relevance absorbed by the stabilizer, `Σ ε s sign(z)` over elements where `z` is not 0.
    pub stabilizer: f64,
    /// Relevance lost because there are no contributions to distribute it to: `Σ ε s` over elements where `z` is 0.
    pub missing: f64,
}
