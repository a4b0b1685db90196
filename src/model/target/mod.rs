//! Targets: the scalar of a network's output that a method explains.
//!
//! A target is a class, or an expression such as `cat - dog`, `person @ 120,80` or `like:other.jpg`. An expression becomes a head of
//! the network, so that gradients, relevance and attacks treat it like any class score.

mod grammar;
mod head;
mod mask;

pub use grammar::{Quantity, Region, TargetExpression, Term, USAGE};
pub use head::TargetHead;
pub(crate) use mask::bright_pixels;
