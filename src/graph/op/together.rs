//! Values that are computed with element by element.

use super::draw::Draw;
use super::operation::Op;
use super::spec::Case;
use crate::backend::broadcast_shape;
use anyhow::{Result, ensure};

/// The shape of two values or more together.
pub(super) fn together(x: &[&[usize]]) -> Result<Vec<usize>> {
    ensure!(x.len() >= 2, "it reads two values or more, got {}", x.len());
    broadcast_shape(x)
}

/// A case of at most so many values, of one shape or of shapes that broadcast.
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
