//! Relevance shared among the terms of a sum, and what the division keeps back.

use candle_core::Tensor;

/// `s = r / (z + ε sign z)`, `sign(0) = +1`, and what is kept back of it.
#[derive(Clone, Debug)]
pub struct Shares {
    /// The shape of `r`.
    pub s: Tensor,
    /// `Σ b[c] s[n, c, …]`: by a bias for each channel.
    pub bias: f64,
    /// `Σ ε s sign(z)` where `z` is not 0: by the stabiliser.
    pub stabilizer: f64,
    /// The same where `z` is 0: nothing was there to share it.
    pub missing: f64,
}
