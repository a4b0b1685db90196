//! Helpers for reductions over dimensions.

use crate::backend;
use anyhow::{Result, ensure};
use candle_core::Tensor;

/// `shape` with the dimensions `dims` reduced to size 1.
fn kept(dims: &[usize], shape: &[usize]) -> Vec<usize> {
    shape.iter().enumerate().map(|(d, &size)| if dims.contains(&d) { 1 } else { size }).collect()
}

/// The shape `x` after a reduction over `dims`: the dimensions are removed or, with `keepdim`, have size 1.
pub(super) fn shape(dims: &[usize], keepdim: bool, x: &[usize]) -> Result<Vec<usize>> {
    ensure!(dims.iter().all(|&d| d < x.len()), "dimensions {dims:?} are out of range for shape {x:?}");
    let stays = |(d, _): &(usize, usize)| keepdim || !dims.contains(d);
    Ok(kept(dims, x).into_iter().enumerate().filter(stays).map(|(_, size)| size).collect())
}

/// The sum of `x` over the dimensions `dims`; these are removed or, with `keepdim`, have size 1.
pub(super) fn sum(dims: &[usize], keepdim: bool, x: &Tensor) -> Result<Tensor> {
    Ok(backend::sum_keepdim(x, dims)?.reshape(shape(dims, keepdim, x.dims())?)?)
}

/// The VJP of a sum over `dims`: broadcasts the gradient `dy` to the input's shape.
pub(super) fn spread(dims: &[usize], dy: &Tensor, shape: Vec<usize>) -> Result<Tensor> {
    Ok(dy.reshape(kept(dims, &shape))?.broadcast_as(shape)?.contiguous()?)
}
