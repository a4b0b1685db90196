//! The relevance ledger: how much relevance each layer received, passed on and absorbed.

use crate::exec::Absorbed;

/// The rule name in the ledger entry of a node at which the backward pass ended.
pub const END: &str = "end";

/// The ledger entry of one layer; `into − out − kept.total() − other()` is 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LedgerEntry {
    /// Name of the rule that was applied: `zplus`, `gradient`, `script`, or [`END`].
    pub rule: String,
    /// Relevance of the layer's value.
    pub into: f64,
    /// Relevance of the layer's inputs.
    pub out: f64,
    /// Relevance that the rule reports as absorbed.
    pub kept: Absorbed,
}

impl LedgerEntry {
    /// Relevance not accounted for, because a rule absorbed or added it without reporting it.
    pub fn other(&self) -> f64 {
        self.into - self.out - self.kept.total()
    }
}
