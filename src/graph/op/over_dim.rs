//! Helpers for shape-preserving operations along a dimension.

use super::draw::Draw;
use super::operation::Op;
use super::spec::Case;
use anyhow::{Result, ensure};

/// The shape of the only input; errors if it does not have dimension `dim`.
pub(super) fn same_shape(x: &[&[usize]], dim: usize) -> Result<Vec<usize>> {
    ensure!(x.len() == 1 && dim < x[0].len(), "no dimension {dim} in inputs of shape {x:?}");
    Ok(x[0].to_vec())
}

/// A random test case of rank 2 to 4 for an operation along a dimension; `op` builds the operation for a dimension.
pub(super) fn drawn<O: Op + 'static>(op: impl FnOnce(usize) -> O, d: &mut Draw) -> Case {
    let rank = d.between(2, 4);
    let op = op(d.between(1, rank - 1));
    Case::new(op, &[&[d.between(1, 3), d.between(1, 9), 2, 3][..rank]])
}
