//! The maximum and minimum of a tensor, on all cores; NaN if any element is NaN, as in PyTorch.

use crate::backend::device::runs_portably;
use crate::backend::storage::{Real, by_type, read};
use crate::tensor::wide;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use rayon::prelude::*;

/// Number of elements per task.
const GRAIN: usize = 16 * 1024;

/// The maximum of all elements of a tensor; NaN if any element is NaN.
///
/// Errors if the tensor is empty.
pub fn greatest(x: &Tensor) -> Result<f64> {
    extreme(x, |x| x.max(0), |v, m| v > m, |v| v)
}

/// The minimum of all elements of a tensor; NaN if any element is NaN.
///
/// Errors if the tensor is empty.
pub fn least(x: &Tensor) -> Result<f64> {
    extreme(x, |x| x.min(0), |v, m| v < m, |v| v)
}

/// The largest magnitude of the elements of a tensor; 0 for an empty tensor.
pub fn greatest_magnitude(x: &Tensor) -> Result<f64> {
    if x.elem_count() == 0 { Ok(0.0) } else { extreme(x, |x| x.abs()?.max(0), |v, m| v > m, f64::abs) }
}

fn extreme(
    x: &Tensor,
    candles: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
    further: impl Fn(f64, f64) -> bool + Sync,
    of: impl Fn(f64) -> f64 + Sync,
) -> Result<f64> {
    ensure!(x.elem_count() > 0, "a tensor of shape {:?} is empty", x.dims());
    if runs_portably(x) {
        return Ok(wide(&candles(&x.flatten_all()?)?)?.to_scalar()?);
    }
    by_type!(x, furthest(x, further, of))
}

fn furthest<T: Real>(
    x: &Tensor,
    further: impl Fn(f64, f64) -> bool + Sync,
    of: impl Fn(f64) -> f64 + Sync,
) -> Result<f64> {
    let choose = |m: f64, v: f64| if further(v, m) || v.is_nan() { v } else { m };
    read::<T, _>(x, |x| {
        let parts = x.par_chunks(GRAIN);
        let ends = parts.map(|part| part[1..].iter().fold(of(part[0].to_f64()), |m, v| choose(m, of(v.to_f64()))));
        Ok(ends.reduce_with(choose).unwrap_or(f64::NAN))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn extrema_match_plain_loops() {
        for (shape, dtype) in [((3, 71, 99), DType::F32), ((1, 1, 1), DType::F64), ((2, 300, 70), DType::F64)] {
            let x = Tensor::randn(-3f64, 1.0, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            let all = crate::tensor::numbers(&x).unwrap();
            assert_eq!(greatest(&x).unwrap(), all.iter().copied().fold(f64::MIN, f64::max));
            assert_eq!(least(&x).unwrap(), all.iter().copied().fold(f64::MAX, f64::min));
            assert_eq!(greatest_magnitude(&x).unwrap(), all.iter().map(|v| v.abs()).fold(0.0, f64::max));
        }
    }

    #[test]
    fn non_finite_values_are_reported() {
        for place in [0, 1, 39_999] {
            let mut all = vec![1f32; 40_000];
            all[place] = f32::NAN;
            let x = Tensor::new(all, &Device::Cpu).unwrap();
            assert!(greatest(&x).unwrap().is_nan() && least(&x).unwrap().is_nan());
            assert!(greatest_magnitude(&x).unwrap().is_nan());
        }
        let none = Tensor::new(Vec::<f32>::new(), &Device::Cpu).unwrap();
        assert!(greatest(&none).is_err() && greatest_magnitude(&none).unwrap() == 0.0);
    }
}
