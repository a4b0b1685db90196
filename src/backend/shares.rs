//! Relevance divided among the terms of a sum, and the relevance absorbed by the division.

use candle_core::Tensor;

/// `s = r / (z + ε sign z)` with `sign(0) = +1`, and the relevance it absorbs.
#[derive(Clone, Debug)]
pub struct Shares {
    /// The quotient, of the shape of `r`.
    pub s: Tensor,
    /// `Σ b[c] s[n, c, …]`: absorbed by the bias of each channel.
    pub bias: f64,
    /// `Σ ε s sign(z)` where `z` is not 0: absorbed by the stabilizer.
    pub stabilizer: f64,
    /// The same where `z` is 0: there are no contributions to divide it among.
    pub missing: f64,
}
