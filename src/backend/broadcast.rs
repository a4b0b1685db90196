//! Broadcasting shapes, and summing a broadcast tensor back to its original shape.

use anyhow::{Result, bail, ensure};
use candle_core::Tensor;

/// The common shape to which `shapes` broadcast. As in NumPy, dimensions of size 1 are stretched, and missing leading dimensions
/// have size 1.
///
/// Errors if the shapes cannot be broadcast together.
pub fn broadcast_shape(shapes: &[&[usize]]) -> Result<Vec<usize>> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut all = vec![1; rank];
    for shape in shapes {
        for (size, &own) in all[rank - shape.len()..].iter_mut().zip(*shape) {
            match (*size, own) {
                (a, b) if a == b => {}
                (1, b) => *size = b,
                (_, 1) => {}
                _ => bail!("cannot broadcast {shapes:?}"),
            }
        }
    }
    Ok(all)
}

/// Sums `x` over the dimensions along which `shape` was broadcast to the shape of `x`; the VJP of broadcasting.
///
/// Errors if `shape` does not broadcast to the shape of `x`.
pub fn sum_to(x: &Tensor, shape: &[usize]) -> Result<Tensor> {
    if x.dims() == shape {
        return Ok(x.clone());
    }
    ensure!(x.rank() >= shape.len(), "shape {shape:?} does not broadcast to {:?}", x.dims());
    let front = x.rank() - shape.len();
    let stretched = |d: &usize| *d < front || (shape[*d - front] == 1 && x.dims()[*d] != 1);
    let dims: Vec<_> = (0..x.rank()).filter(stretched).collect();
    Ok(super::sum_keepdim(x, &dims)?.reshape(shape)?)
}

/// Errors if `scale` and `shift` do not have one element per channel of `x`, `(N, C, …)`.
pub(super) fn check_channels(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<()> {
    let dims = x.dims();
    ensure!(
        dims.len() >= 2 && scale.dims() == [dims[1]] && shift.dims() == [dims[1]],
        "a tensor of shape {dims:?} needs one scale and one shift per channel, got shapes {:?} and {:?}",
        scale.dims(),
        shift.dims()
    );
    Ok(())
}
