//! What an operation does in training only.

/// Dropout of elements or of whole channels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropped {
    /// The dropout probability, in `[0, 1]`.
    pub p: f64,
    /// Whether it drops whole channels.
    pub channels: bool,
}

/// Running statistics, `running_mean` and `running_var`, updated after each batch: `r ← (1 − momentum) r + momentum b`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tracked {
    /// Weight of the batch statistics.
    pub momentum: f64,
}
