//! Where relevance went: the accounts of every layer that a walk passed.

use crate::exec::Absorbed;

/// The rule of an entry where the walk ended.
pub const END: &str = "end";

/// One layer's account. `into − out − kept.total() − other()` is 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LedgerEntry {
    /// The rule that held: `zplus`, `gradient`, `script`, or [`END`].
    pub rule: String,
    /// Relevance that reached the layer's value.
    pub into: f64,
    /// Relevance that went on to its inputs.
    pub out: f64,
    /// What its rule says that it kept back.
    pub kept: Absorbed,
}

impl LedgerEntry {
    /// What nobody accounts for: what a rule that tells nothing kept back or added.
    pub fn other(&self) -> f64 {
        self.into - self.out - self.kept.total()
    }
}
