//! Converts operators that depend on the picture to nodes.

mod operator;
mod elementwise;
mod layers;
mod shapes;
mod einsum;

pub use operator::Operator;
use operator::{Lower, activation};

/// The function that converts operators of this type; `None` if they are not supported.
pub fn lower(op: &str) -> Option<Lower> {
    let tables = [elementwise::TABLE, layers::TABLE, shapes::TABLE, einsum::TABLE];
    let row = tables.into_iter().flatten().find(|(names, _)| names.contains(&op));
    row.map(|(_, lower)| *lower).or_else(|| activation(op).map(|_| elementwise::activation as Lower))
}
