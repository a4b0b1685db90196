//! Sums over many numbers, in f64 and in an order that does not depend on the number of cores.

use super::access::{Real, by_type, read};
use super::portable;
use anyhow::Result;
use candle_core::Tensor;
use rayon::prelude::*;

/// Numbers that one task sums.
const GRAIN: usize = 16 * 1024;

/// The sum of all numbers.
pub fn sum(x: &Tensor) -> Result<f64> {
    if portable::serves(x) { portable::sum(x) } else { by_type!(x, sum_of(x)) }
}

fn sum_of<T: Real>(x: &Tensor) -> Result<f64> {
    read::<T, _>(x, |x| Ok(ordered(x.par_chunks(GRAIN).map(|part| part.iter().map(|v| v.to_f64()).sum()))))
}

/// Whether every number is 0.
pub fn is_zero(x: &Tensor) -> Result<bool> {
    if portable::serves(x) { portable::is_zero(x) } else { by_type!(x, zero_of(x)) }
}

fn zero_of<T: Real>(x: &Tensor) -> Result<bool> {
    read::<T, _>(x, |x| Ok(x.iter().all(|v| v.to_f64() == 0.0)))
}

/// Whether no number is below 0.
pub fn is_nonnegative(x: &Tensor) -> Result<bool> {
    if portable::serves(x) { portable::is_nonnegative(x) } else { by_type!(x, nonnegative_of(x)) }
}

fn nonnegative_of<T: Real>(x: &Tensor) -> Result<bool> {
    let fine = |part: &[T]| part.iter().fold(true, |all, v| all & (v.to_f64() >= 0.0));
    read::<T, _>(x, |x| Ok(x.par_chunks(GRAIN).all(fine)))
}

fn ordered(parts: impl IndexedParallelIterator<Item = f64>) -> f64 {
    parts.collect::<Vec<_>>().into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn sums_are_those_of_plain_loops() {
        let shape = (3, 5, 40, 61);
        let s = Tensor::rand(-1f64, 1.0, shape, &Device::Cpu).unwrap();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{a} and {b}");
        let sv = s.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        near(sum(&s).unwrap(), sv.iter().sum());
        near(sum(&s.to_dtype(DType::F32).unwrap()).unwrap(), sv.iter().map(|v| f64::from(*v as f32)).sum());
        assert!(!is_zero(&s).unwrap() && is_zero(&s.zeros_like().unwrap()).unwrap());
        assert!(!is_nonnegative(&s).unwrap() && is_nonnegative(&s.abs().unwrap()).unwrap());
    }
}
