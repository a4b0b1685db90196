//! Backward passes through a trace: gradients, and relevance at nodes with rules.
//!
//! A [`Walk`] starts from seeds at any nodes and can end at any nodes. It propagates gradients except where a [`Composite`]
//! defines a rule.

mod composite;
mod ctc;
mod ledger;
mod lrp;
mod seed;
mod walk;

pub use composite::{Composite, Rule, Selector};
pub use ctc::{Ctc, ctc};
pub use ledger::{END, LedgerEntry};
pub use lrp::{Bias, Denominator, Lrp, Stabilizer, Term, share};
pub use seed::{
    binary_cross_entropy, cross_entropy, cross_entropy_labels, cross_entropy_loss, lead, logit, loss, loss_of_labels,
    margin, score, sum,
};
pub use walk::{Relevance, Walk};
