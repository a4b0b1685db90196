//! Cropping, padding, subsampling and upsampling of feature maps along one axis.

use anyhow::Result;
use candle_core::Tensor;

/// Positions `start, …, start + size - 1` of `x` along an axis, with `fill` outside `x`.
pub(super) fn window(x: &Tensor, axis: usize, start: isize, size: usize, fill: f64) -> Result<Tensor> {
    let have = x.dims()[axis] as isize;
    let end = start + size as isize;
    if start == 0 && end == have {
        return Ok(x.clone());
    }
    let (first, last) = (start.clamp(0, have), end.clamp(0, have));
    let outside = |count: isize| -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        shape[axis] = count as usize;
        Ok(Tensor::full(fill as f32, shape, x.device())?.to_dtype(x.dtype())?)
    };
    if first == last {
        return outside(size as isize);
    }
    let mut parts = vec![x.narrow(axis, first as usize, (last - first) as usize)?];
    if start < first {
        parts.insert(0, outside(first - start)?);
    }
    if last < end {
        parts.push(outside(end - last)?);
    }
    Ok(Tensor::cat(&parts, axis)?)
}

/// `count` positions of `x` along an axis, starting at `start`, with step `step`. `x` must extend to `start + count · step`.
pub(super) fn every(x: &Tensor, axis: usize, start: usize, step: usize, count: usize) -> Result<Tensor> {
    let part = x.narrow(axis, start, count * step)?;
    if step == 1 {
        return Ok(part);
    }
    let mut split = x.dims().to_vec();
    split.splice(axis..=axis, [count, step]);
    Ok(part.reshape(split)?.narrow(axis + 1, 0, 1)?.squeeze(axis + 1)?)
}

/// The transpose of [`every`] with start 0, which inserts `step - 1` zeros after each position.
pub(super) fn apart(x: &Tensor, axis: usize, step: usize) -> Result<Tensor> {
    if step == 1 {
        return Ok(x.clone());
    }
    let mut long = x.dims().to_vec();
    long[axis] *= step;
    Ok(x.unsqueeze(axis + 1)?.pad_with_zeros(axis + 1, 0, step - 1)?.reshape(long)?)
}

/// Interleaves `parts` along an axis: position `i` of part `r` becomes position `i · parts.len() + r`.
pub(super) fn interleave(parts: &[Tensor], axis: usize) -> Result<Tensor> {
    if let [only] = parts {
        return Ok(only.clone());
    }
    let mut long = parts[0].dims().to_vec();
    long[axis] *= parts.len();
    Ok(Tensor::stack(parts, axis + 1)?.reshape(long)?)
}
