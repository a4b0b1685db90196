//! Shapes that broadcast, and the way back from them.

use anyhow::{Result, bail, ensure};
use candle_core::Tensor;

/// The shape of values of these shapes together: sizes of 1 stretch, and missing ones in front are 1, as in NumPy.
pub fn broadcast_shape(shapes: &[&[usize]]) -> Result<Vec<usize>> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut all = vec![1; rank];
    for shape in shapes {
        for (size, &own) in all[rank - shape.len()..].iter_mut().zip(*shape) {
            match (*size, own) {
                (a, b) if a == b => {}
                (1, b) => *size = b,
                (_, 1) => {}
                _ => bail!("its inputs need one shape, or shapes that broadcast, got {shapes:?}"),
            }
        }
    }
    Ok(all)
}

/// The sum of `x` over what was broadcast from `shape`.
pub fn sum_to(x: &Tensor, shape: &[usize]) -> Result<Tensor> {
    if x.dims() == shape {
        return Ok(x.clone());
    }
    ensure!(x.rank() >= shape.len(), "{:?} was not broadcast from {shape:?}", x.dims());
    let front = x.rank() - shape.len();
    let stretched = |d: &usize| *d < front || (shape[*d - front] == 1 && x.dims()[*d] != 1);
    let dims: Vec<_> = (0..x.rank()).filter(stretched).collect();
    Ok(super::sum_keepdim(x, &dims)?.reshape(shape)?)
}
