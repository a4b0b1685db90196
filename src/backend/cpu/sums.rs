//! Sums of tensors, in an order that does not depend on the number of cores.

use crate::backend::device::runs_portably;
use crate::backend::storage::{Real, by_type, read, tensor};
use anyhow::Result;
use candle_core::{DType, Tensor};
use gradscope_engine::thread_team;
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// Number of elements per task.
const GRAIN: usize = 16 * 1024;

/// The sum of all elements, computed in f64.
pub fn sum(x: &Tensor) -> Result<f64> {
    by_type!(x, sum_of(x, |v| v))
}

/// The sum of the magnitudes of all elements, computed in f64.
pub fn sum_of_magnitudes(x: &Tensor) -> Result<f64> {
    by_type!(x, sum_of(x, f64::abs))
}

/// The sum of the squares of all elements, computed in f64.
pub fn sum_of_squares(x: &Tensor) -> Result<f64> {
    by_type!(x, sum_of(x, |v| v * v))
}

fn sum_of<T: Real>(x: &Tensor, f: impl Fn(f64) -> f64 + Sync) -> Result<f64> {
    read::<T, _>(x, |x| Ok(ordered(x.par_chunks(GRAIN).map(|part| part.iter().map(|v| f(v.to_f64())).sum()))))
}

/// Sums over dimensions and keeps them with size 1; PyTorch's `sum(dim, keepdim=True)`.
///
/// Sums over adjacent dimensions before the last are computed on all cores. Other sums are left to candle, which is fast along
/// the last dimension.
pub fn sum_keepdim(x: &Tensor, dims: &[usize]) -> Result<Tensor> {
    let (first, last) = (dims.iter().min().copied().unwrap_or(0), dims.iter().max().copied().unwrap_or(0));
    let in_a_row = !dims.is_empty() && (first..=last).all(|d| dims.contains(&d)) && last + 1 < x.rank();
    if !in_a_row || runs_portably(x) {
        return Ok(x.sum_keepdim(dims)?);
    }
    match x.dtype() {
        DType::F32 => rows::<f32>(x, first, last),
        DType::F64 => rows::<f64>(x, first, last),
        _ => Ok(x.sum_keepdim(dims)?),
    }
}

fn rows<T: Real>(x: &Tensor, first: usize, last: usize) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let (count, inner) = (shape[first..=last].iter().product::<usize>(), shape[last + 1..].iter().product::<usize>());
    shape[first..=last].fill(1);
    let mut y = vec![T::zero(); shape.iter().product()];
    if y.is_empty() || count == 0 {
        return tensor(y, &shape);
    }
    // Each task sums the same range of elements in every row.
    let part = inner.min((GRAIN / count).max(64));
    let parts = inner.div_ceil(part);
    read::<T, _>(x, |x| {
        let tasks: Vec<_> = y.chunks_mut(inner).flat_map(|row| row.chunks_mut(part)).enumerate().collect();
        let work = |(task, y): (usize, &mut [T])| {
            let start = task / parts * count * inner + task % parts * part;
            for row in 0..count {
                let x = &x[start + row * inner..][..y.len()];
                y.iter_mut().zip(x).for_each(|(y, &x)| *y += x);
            }
        };
        tasks.into_par_iter().with_min_len(1 + GRAIN / (part * count)).for_each(work);
        Ok(())
    })?;
    tensor(y, &shape)
}

/// Whether every element is 0.
pub fn is_zero(x: &Tensor) -> Result<bool> {
    by_type!(x, zero_of(x))
}

fn zero_of<T: Real>(x: &Tensor) -> Result<bool> {
    read::<T, _>(x, |x| Ok(x.iter().all(|v| v.to_f64() == 0.0)))
}

/// Whether no element is negative.
pub fn is_nonnegative(x: &Tensor) -> Result<bool> {
    by_type!(x, nonnegative_of(x))
}

fn nonnegative_of<T: Real>(x: &Tensor) -> Result<bool> {
    let fine = |part: &[T]| part.iter().fold(true, |all, &v| all & (v >= T::zero()));
    let all = AtomicBool::new(true);
    read::<T, _>(x, |x| {
        thread_team::ranges(x.len(), GRAIN, |range| {
            if all.load(Ordering::Relaxed) && !fine(&x[range]) {
                all.store(false, Ordering::Relaxed);
            }
        });
        Ok(())
    })?;
    Ok(all.into_inner())
}

fn ordered(parts: impl IndexedParallelIterator<Item = f64>) -> f64 {
    parts.collect::<Vec<_>>().into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn sums_match_plain_loops() {
        let shape = (3, 5, 40, 61);
        let s = Tensor::rand(-1f64, 1.0, shape, &Device::Cpu).unwrap();
        for dims in [&[0][..], &[0, 1], &[1], &[1, 2], &[2, 1, 0], &[3], &[0, 2], &[]] {
            let apart = (sum_keepdim(&s, dims).unwrap() - s.sum_keepdim(dims).unwrap()).unwrap().abs().unwrap();
            assert_eq!(apart.dims(), s.sum_keepdim(dims).unwrap().dims());
            assert!(apart.flatten_all().unwrap().max(0).unwrap().to_scalar::<f64>().unwrap() < 1e-9, "{dims:?}");
        }
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{a} and {b}");
        let sv = s.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        near(sum(&s).unwrap(), sv.iter().sum());
        near(sum(&s.to_dtype(DType::F32).unwrap()).unwrap(), sv.iter().map(|v| f64::from(*v as f32)).sum());
        let magnitudes = || sv.iter().map(|v| v.abs());
        near(sum_of_magnitudes(&s).unwrap(), magnitudes().sum());
        near(sum_of_squares(&s).unwrap(), sv.iter().map(|v| v * v).sum());
        assert!(!is_zero(&s).unwrap() && is_zero(&s.zeros_like().unwrap()).unwrap());
        assert!(!is_nonnegative(&s).unwrap() && is_nonnegative(&s.abs().unwrap()).unwrap());
    }
}
