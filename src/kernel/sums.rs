//! Sums over many numbers, in f64 and in an order that does not depend on the number of cores.

use super::access::{Real, by_type, read};
use super::portable;
use anyhow::{Result, ensure};
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

/// `Σ ε s sign(z)` over places where `z` is not 0, and over those where it is (`sign(0) = +1`): what a stabilised
/// denominator `z + ε sign(z)` keeps back of `s = r / (z + ε sign(z))`.
pub fn kept_by_stabilizer(s: &Tensor, z: &Tensor, epsilon: f64) -> Result<(f64, f64)> {
    ensure!(s.dims() == z.dims(), "shapes {:?} and {:?} differ", s.dims(), z.dims());
    if portable::serves(s) {
        return portable::kept_by_stabilizer(s, z, epsilon);
    }
    by_type!(s, stabilizer_of(s, z, epsilon))
}

fn stabilizer_of<T: Real>(s: &Tensor, z: &Tensor, epsilon: f64) -> Result<(f64, f64)> {
    let part = |(s, z): (&[T], &[T])| {
        s.iter().zip(z).fold((0.0, 0.0), |(held, lost), (s, z)| match z.to_f64() {
            0.0 => (held, lost + epsilon * s.to_f64()),
            z => (held + epsilon * s.to_f64() * z.signum(), lost),
        })
    };
    read::<T, _>(s, |s| {
        read::<T, _>(z, |z| {
            let parts: Vec<_> = s.par_chunks(GRAIN).zip(z.par_chunks(GRAIN)).map(part).collect();
            Ok(parts.into_iter().fold((0.0, 0.0), |all, part| (all.0 + part.0, all.1 + part.1)))
        })
    })
}

/// `Σ b[c] s[n, c, …]`: what a bias for each channel keeps back of `s`.
pub fn kept_by_bias(s: &Tensor, b: &Tensor) -> Result<f64> {
    ensure!(s.rank() >= 2 && b.dims() == [s.dims()[1]], "one bias a channel for {:?}, got {:?}", s.dims(), b.dims());
    if portable::serves(s) { portable::kept_by_bias(s, b) } else { by_type!(s, bias_of(s, b)) }
}

fn bias_of<T: Real>(s: &Tensor, b: &Tensor) -> Result<f64> {
    let size = s.dims()[2..].iter().product::<usize>().max(1);
    read::<T, _>(s, |s| {
        read::<T, _>(b, |b| {
            let map = |(i, map): (usize, &[T])| b[i % b.len()].to_f64() * map.iter().map(|v| v.to_f64()).sum::<f64>();
            Ok(ordered(s.par_chunks(size).enumerate().map(map)))
        })
    })
}

/// Whether every number is 0.
pub fn is_zero(x: &Tensor) -> Result<bool> {
    if portable::serves(x) { portable::is_zero(x) } else { by_type!(x, zero_of(x)) }
}

fn zero_of<T: Real>(x: &Tensor) -> Result<bool> {
    read::<T, _>(x, |x| Ok(x.iter().all(|v| v.to_f64() == 0.0)))
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
        let z = Tensor::rand(-1f64, 1.0, shape, &Device::Cpu).unwrap();
        let z = (z.relu().unwrap() - 0.2).unwrap().relu().unwrap();
        let b = Tensor::rand(-1f64, 1.0, 5, &Device::Cpu).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let (sv, zv, bv) = (flat(&s), flat(&z), flat(&b));
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{a} and {b}");
        near(sum(&s).unwrap(), sv.iter().sum());
        let (held, lost) = kept_by_stabilizer(&s, &z, 0.25).unwrap();
        let share = |zero: bool| sv.iter().zip(&zv).filter(|(_, z)| (**z == 0.0) == zero).map(|(s, _)| 0.25 * s).sum();
        near(held, share(false));
        near(lost, share(true));
        let of_bias = sv.iter().enumerate().map(|(i, s)| s * bv[i / (40 * 61) % 5]).sum();
        near(kept_by_bias(&s, &b).unwrap(), of_bias);
        near(sum(&s.to_dtype(DType::F32).unwrap()).unwrap(), sv.iter().map(|v| f64::from(*v as f32)).sum());
        assert!(!is_zero(&s).unwrap() && is_zero(&s.zeros_like().unwrap()).unwrap());
    }
}
