//! Helpers for elementwise operations on several inputs.

use super::draw::Draw;
use super::operation::Op;
use super::spec::Case;
use crate::backend::broadcast_shape;
use anyhow::{Result, ensure};

/// The shape to which the shapes of two or more inputs broadcast; errors if they do not.
pub(super) fn together(x: &[&[usize]]) -> Result<Vec<usize>> {
    ensure!(x.len() >= 2, "expects two or more inputs, got {}", x.len());
    broadcast_shape(x)
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
