//! Helpers for elementwise operations on several inputs.

use super::draw::Draw;
use super::operation::Op;
use super::spec::Case;
use crate::backend::{broadcast_shape, sum_to};
use anyhow::{Result, ensure};
use candle_core::Tensor;

/// The shape to which the shapes of two or more inputs broadcast. Errors if they do not broadcast.
pub(super) fn together(x: &[&[usize]]) -> Result<Vec<usize>> {
    ensure!(x.len() >= 2, "expects two or more inputs, got {}", x.len());
    broadcast_shape(x)
}

/// `x` with rank `rank`: dimensions of size 1 are inserted after the batch dimension, so that `(N, C)` broadcasts with
/// `(N, T, C)` for any N.
pub(super) fn with_rank(x: &Tensor, rank: usize) -> Result<Tensor> {
    if x.rank() >= rank { Ok(x.clone()) } else { Ok(x.reshape(stretched(x.dims(), rank))?) }
}

/// The largest rank among the values `x`.
pub(super) fn rank(x: &[&Tensor]) -> usize {
    x.iter().map(|x| x.rank()).max().unwrap_or(0)
}

/// Sums `dy` over the dimensions along which an input of shape `dims` was broadcast; the VJP of broadcasting.
pub fn sum_to_input(dy: &Tensor, dims: &[usize]) -> Result<Tensor> {
    if dims.len() >= dy.rank() { sum_to(dy, dims) } else { Ok(sum_to(dy, &stretched(dims, dy.rank()))?.reshape(dims)?) }
}

fn stretched(dims: &[usize], rank: usize) -> Vec<usize> {
    let (batch, rest) = dims.split_at(dims.len().min(1));
    [batch, &vec![1; rank - dims.len()], rest].concat()
}

/// A random test case with at most `most` inputs, which have the same shape or broadcast.
pub(super) fn drawn(op: impl Op + 'static, d: &mut Draw, most: usize) -> Case {
    let map = d.map();
    let count = d.between(2, most);
    let mut shapes: Vec<Vec<usize>> = (0..count).map(|_| map.to_vec()).collect();
    for shape in &mut shapes[1..] {
        if d.coin() {
            (1..4).for_each(|dim| shape[dim] = if d.coin() { 1 } else { shape[dim] });
        }
    }
    Case::new(op, &shapes.iter().map(Vec::as_slice).collect::<Vec<_>>())
}
