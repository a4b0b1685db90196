//! Elementwise operations of several inputs.

use super::draw::Draw;
use super::operation::Op;
use super::spec::Case;
use crate::backend::broadcast_shape;
use anyhow::{Result, ensure};

/// The shape that two or more inputs broadcast to.
pub(super) fn together(x: &[&[usize]]) -> Result<Vec<usize>> {
    ensure!(x.len() >= 2, "expects two or more inputs, got {}", x.len());
    broadcast_shape(x)
}

/// A test case of at most `most` inputs, of one shape or of shapes that broadcast.
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
