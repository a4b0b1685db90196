//! Describes how operations behave differently in training.

/// Dropout of elements or of whole channels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropped {
    /// The dropout probability, in `[0, 1]`.
    pub p: f64,
    /// Whether whole channels are dropped instead of single elements.
    pub channels: bool,
}

/// Running statistics, `running_mean` and `running_var`. After each batch with statistics `b`,
/// `r ← (1 − momentum) r + momentum b`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tracked {
    /// Weight of the batch statistics in the update.
    pub momentum: f64,
}
