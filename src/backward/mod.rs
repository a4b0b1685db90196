//! The way back through a trace: gradients, and relevance where rules say so.
//!
//! A [`Walk`] starts from seeds at any nodes and goes to any nodes. The gradient is the rule wherever a
//! [`Composite`] names no other.

mod composite;
mod lrp;
mod seed;
mod walk;

pub use composite::{Composite, Rule, Selector};
pub use lrp::{Bias, Lrp};
pub use seed::{cross_entropy, cross_entropy_labels, cross_entropy_loss, logit, margin};
pub use walk::{Relevance, Walk};
