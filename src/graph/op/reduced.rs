//! Reductions over dimensions.

use crate::backend;
use anyhow::{Result, ensure};
use candle_core::Tensor;

/// The shape with these dimensions reduced to size 1.
fn kept(dims: &[usize], shape: &[usize]) -> Vec<usize> {
    shape.iter().enumerate().map(|(d, &size)| if dims.contains(&d) { 1 } else { size }).collect()
}

/// The shape without these dimensions, or with size 1 if `keepdim`.
pub(super) fn shape(dims: &[usize], keepdim: bool, x: &[usize]) -> Result<Vec<usize>> {
    ensure!(dims.iter().all(|&d| d < x.len()), "no dimensions {dims:?} in {x:?}");
    let stays = |(d, _): &(usize, usize)| keepdim || !dims.contains(d);
    Ok(kept(dims, x).into_iter().enumerate().filter(stays).map(|(_, size)| size).collect())
}

/// The sum over these dimensions.
pub(super) fn sum(dims: &[usize], keepdim: bool, x: &Tensor) -> Result<Tensor> {
    Ok(backend::sum_keepdim(x, dims)?.reshape(shape(dims, keepdim, x.dims())?)?)
}

/// The VJP of a sum: broadcasts the gradient over the reduced dimensions.
pub(super) fn spread(dims: &[usize], dy: &Tensor, shape: Vec<usize>) -> Result<Tensor> {
    Ok(dy.reshape(kept(dims, &shape))?.broadcast_as(shape)?.contiguous()?)
}
