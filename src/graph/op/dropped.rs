//! What training drops.

/// A share of values, or of whole channels, that a training run sets to 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropped {
    /// The share, in `[0, 1]`.
    pub p: f64,
    /// Whether whole channels are dropped.
    pub channels: bool,
}
