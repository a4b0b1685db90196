//! What is done in training alone.

/// A share of values, or of whole channels, that a training run sets to 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropped {
    /// The share, in `[0, 1]`.
    pub p: f64,
    /// Whether whole channels are dropped.
    pub channels: bool,
}

/// Running statistics, `running_mean` and `running_var`, that follow those of each batch: `r ← (1 − momentum) r + momentum b`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tracked {
    /// The share of a batch.
    pub momentum: f64,
}
