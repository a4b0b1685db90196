//! Elementwise operations for scripts, in one pass on all cores. Candle uses a single core and sometimes several passes.
//!
//! The functions fall back to candle for tensors that are not f32 or f64 on the CPU, or that candle tracks for autograd.

use crate::backend::device::runs_portably;
use crate::backend::storage::{Real, read, tensor, unsupported};
use anyhow::{Result, ensure};
use candle_core::{DType, Tensor};
use gradscope_engine::thread_team;
use std::mem::MaybeUninit;

/// Number of elements per task.
const GRAIN: usize = 16 * 1024;

/// `factor · x + shift`, elementwise.
pub fn affine(x: &Tensor, factor: f64, shift: f64) -> Result<Tensor> {
    if !serves(x) {
        return Ok(x.affine(factor, shift)?);
    }
    let (a, b) = (factor as f32, shift as f32);
    map(x, |v| v * a + b, |v| v * factor + shift)
}

/// NumPy's `sign`: -1, 0 or 1, and NaN for NaN. PyTorch's `sign` returns 0 for NaN.
pub fn sign(x: &Tensor) -> Result<Tensor> {
    if !serves(x) {
        let positive = |x: &Tensor| x.gt(0.0)?.to_dtype(x.dtype());
        return keep_nan(&(positive(x)? - positive(&x.neg()?)?)?, &[x]);
    }
    let nan = |v: f64| if v.is_nan() { v } else { f64::from(v > 0.0) - f64::from(v < 0.0) };
    map(x, |v| if v.is_nan() { v } else { f32::from(v > 0.0) - f32::from(v < 0.0) }, nan)
}

/// `y`, with NaN wherever an element of `from`, broadcast to the shape of `y`, is NaN. Candle's `max`, `min` and `clamp` do not
/// propagate NaN.
fn keep_nan(y: &Tensor, from: &[&Tensor]) -> Result<Tensor> {
    let mut y = y.clone();
    for x in from {
        if super::finite::not_finite(x)?.nan > 0 {
            let nan = x.ne(*x)?.broadcast_as(y.shape())?;
            y = nan.where_cond(&x.broadcast_as(y.shape())?, &y)?;
        }
    }
    Ok(y)
}

/// PyTorch's `maximum`: the elementwise maximum with broadcasting; NaN if either element is NaN.
pub fn maximum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    keep_nan(&a.broadcast_maximum(b)?, &[a, b])
}

/// PyTorch's `minimum`: the elementwise minimum with broadcasting; NaN if either element is NaN.
pub fn minimum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    keep_nan(&a.broadcast_minimum(b)?, &[a, b])
}

/// The maximum along a dimension if `greatest`, otherwise the minimum; NaN if any element along it is NaN. PyTorch's
/// `amax(dim, keepdim=True)` and `amin`.
pub fn extreme_keepdim(x: &Tensor, dim: usize, greatest: bool) -> Result<Tensor> {
    let of = |x: &Tensor, greatest: bool| if greatest { x.max_keepdim(dim) } else { x.min_keepdim(dim) };
    let y = of(x, greatest)?;
    if super::finite::not_finite(x)?.nan == 0 {
        return Ok(y);
    }
    let nan = of(&x.ne(x)?.to_dtype(x.dtype())?, true)?.ne(0.0)?;
    Ok(nan.where_cond(&(y.zeros_like()? / 0.0)?, &y)?)
}

/// Clamps each element to `[low, high]`. Propagates NaN.
pub fn clamp(x: &Tensor, low: f64, high: f64) -> Result<Tensor> {
    if !serves(x) {
        return if x.track_op() { Ok(x.clamp(low, high)?) } else { keep_nan(&x.clamp(low, high)?, &[x]) };
    }
    let (a, b) = (low as f32, high as f32);
    let above = move |v: f32| if v < a { a } else { v };
    let above64 = move |v: f64| if v < low { low } else { v };
    map(x, |v| if above(v) > b { b } else { above(v) }, |v| if above64(v) > high { high } else { above64(v) })
}

/// `|x|`, elementwise.
pub fn abs(x: &Tensor) -> Result<Tensor> {
    if serves(x) { map(x, f32::abs, f64::abs) } else { Ok(x.abs()?) }
}

/// `x²`, elementwise.
pub fn square(x: &Tensor) -> Result<Tensor> {
    if serves(x) { map(x, |v| v * v, |v| v * v) } else { Ok(x.sqr()?) }
}

macro_rules! operators {
    ($($(#[$doc:meta])* $name:ident = $candle:ident, $sign:tt;)*) => {$(
        $(#[$doc])*
        pub fn $name(a: &Tensor, b: &Tensor) -> Result<Tensor> {
            match serves(a) && serves(b) && a.dtype() == b.dtype() {
                true if repeats(b, a) => zip(a, b, |a, b| a $sign b, |a, b| a $sign b),
                true if repeats(a, b) => zip(b, a, |b, a| a $sign b, |b, a| a $sign b),
                _ => Ok(a.$candle(b)?),
            }
        }
    )*};
}

operators! {
    /// `a + b`, with broadcasting.
    add = broadcast_add, +;
    /// `a - b`, with broadcasting.
    sub = broadcast_sub, -;
    /// `a · b`, with broadcasting.
    mul = broadcast_mul, *;
    /// `a / b`, with broadcasting.
    div = broadcast_div, /;
}

/// `a / b` with broadcasting, and 0 where `b` is 0. Where `b` is 0 and `a` is NaN or infinite, the result is NaN.
pub fn divide_no_nan(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let zero = b.eq(0.0)?.to_dtype(b.dtype())?;
    mul(&div(a, &add(b, &zero)?)?, &affine(&zero, -1.0, 1.0)?)
}

/// Whether this module's kernels support a tensor.
fn serves(x: &Tensor) -> bool {
    !runs_portably(x) && !x.track_op() && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// Whether broadcasting `x` to the shape of `y` repeats `x` as a contiguous block.
fn repeats(x: &Tensor, y: &Tensor) -> bool {
    let ones = x.dims().iter().take_while(|&&d| d == 1).count();
    x.rank() <= y.rank() && x.elem_count() > 0 && y.dims().ends_with(&x.dims()[ones..])
}

/// Applies a function to each element of `x`. There is one function for f32 and one for f64.
pub(super) fn map(
    x: &Tensor,
    f32_of: impl Fn(f32) -> f32 + Sync,
    f64_of: impl Fn(f64) -> f64 + Sync,
) -> Result<Tensor> {
    fn run<T: Real>(x: &Tensor, f: impl Fn(T) -> T + Sync) -> Result<Tensor> {
        let y = read::<T, _>(x, |v| {
            let part = |start: usize, y: &mut [MaybeUninit<T>]| {
                y.iter_mut().zip(&v[start..]).for_each(|(y, &v)| _ = y.write(f(v)));
            };
            Ok(filled(v.len(), part))
        })?;
        tensor(y, x.dims())
    }
    match x.dtype() {
        DType::F32 => run(x, f32_of),
        DType::F64 => run(x, f64_of),
        other => unsupported(other),
    }
}

/// Applies a function to each pair of elements of `a` and `b`, repeating `b` to the length of `a`.
pub(super) fn zip(
    a: &Tensor,
    b: &Tensor,
    f32_of: impl Fn(f32, f32) -> f32 + Sync,
    f64_of: impl Fn(f64, f64) -> f64 + Sync,
) -> Result<Tensor> {
    fn run<T: Real>(a: &Tensor, b: &Tensor, f: impl Fn(T, T) -> T + Sync) -> Result<Tensor> {
        let y = read::<T, _>(a, |a| {
            read::<T, _>(b, |b| {
                let part = |start: usize, y: &mut [MaybeUninit<T>]| match b {
                    [b] => y.iter_mut().zip(&a[start..]).for_each(|(y, &a)| _ = y.write(f(a, *b))),
                    b => {
                        let mut done = 0;
                        while done < y.len() {
                            let at = start + done;
                            let b = &b[at % b.len()..];
                            let count = b.len().min(y.len() - done);
                            let numbers = y[done..done + count].iter_mut().zip(&a[at..]).zip(b);
                            numbers.for_each(|((y, &a), &b)| _ = y.write(f(a, b)));
                            done += count;
                        }
                    }
                };
                Ok(filled(a.len(), part))
            })
        })?;
        tensor(y, a.dims())
    }
    ensure!(repeats(b, a) || a.elem_count() == 0, "shapes {:?} and {:?} do not match", a.dims(), b.dims());
    match a.dtype() {
        DType::F32 => run(a, b, f32_of),
        DType::F64 => run(a, b, f64_of),
        other => unsupported(other),
    }
}

/// A vector of `count` elements, computed on all cores. `part` fills a chunk, given its offset.
fn filled<T: Real>(count: usize, part: impl Fn(usize, &mut [MaybeUninit<T>]) + Sync) -> Vec<T> {
    let mut all = Vec::with_capacity(count);
    thread_team::parts(&mut all.spare_capacity_mut()[..count], GRAIN, |i, y| part(i * GRAIN, y));
    // SAFETY: the calls to `part` have written every element.
    unsafe { all.set_len(count) };
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn some(shape: &[usize], dtype: DType) -> Tensor {
        Tensor::randn(0f64, 1.0, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
    }

    fn bits(x: &Tensor) -> Vec<u64> {
        x.to_dtype(DType::F64)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f64>()
            .unwrap()
            .iter()
            .map(|v| v.to_bits())
            .collect()
    }

    #[test]
    fn operators_match_candle() {
        type Pair = (fn(&Tensor, &Tensor) -> Result<Tensor>, fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>);
        let pairs: [Pair; 4] = [
            (add, Tensor::broadcast_add),
            (sub, Tensor::broadcast_sub),
            (mul, Tensor::broadcast_mul),
            (div, Tensor::broadcast_div),
        ];
        let shapes: [(&[usize], &[usize]); 9] = [
            (&[2, 3, 70, 90], &[2, 3, 70, 90]),
            (&[5, 3, 70, 90], &[1, 3, 70, 90]),
            (&[5, 3, 70, 90], &[90]),
            (&[5, 3, 70, 90], &[]),
            (&[4, 3], &[4, 1]),
            (&[4, 1], &[1, 5]),
            (&[1, 1], &[1]),
            (&[1], &[1, 1, 1]),
            (&[0, 3], &[1, 3]),
        ];
        for dtype in [DType::F32, DType::F64] {
            for (a, b) in shapes.iter().flat_map(|&(a, b)| [(a, b), (b, a)]) {
                let (a, b) = (some(a, dtype), some(b, dtype));
                for (i, (ours, candles)) in pairs.iter().enumerate() {
                    let (ours, candles) = (ours(&a, &b).unwrap(), candles(&a, &b).unwrap());
                    assert_eq!(ours.dims(), candles.dims(), "{i}");
                    assert_eq!(bits(&ours), bits(&candles), "{i}: {:?} {:?}", a.dims(), b.dims());
                }
            }
        }
        let (a, b) = (some(&[40, 60], DType::F32), some(&[60, 40], DType::F32).t().unwrap());
        assert_eq!(bits(&sub(&a, &b).unwrap()), bits(&(&a - &b).unwrap()));
        assert!(add(&a, &some(&[7], DType::F32)).is_err() && add(&a, &some(&[60], DType::F64)).is_err());
    }

    /// Compares with PyTorch 2.15: `torch.maximum([1, nan, 3, nan], [nan, 0, 4, nan])`, `minimum`, and `amax` and `amin` along
    /// either dimension.
    #[test]
    fn extrema_propagate_nan_as_in_pytorch() {
        let n = f64::NAN;
        let a = Tensor::new(&[[1.0, n, 3.0, n]], &Device::Cpu).unwrap();
        let b = Tensor::new(&[[n, 0.0, 4.0, n]], &Device::Cpu).unwrap();
        let of = |t: Tensor| format!("{:?}", t.flatten_all().unwrap().to_vec1::<f64>().unwrap());
        assert_eq!(of(maximum(&a, &b).unwrap()), "[NaN, NaN, 4.0, NaN]");
        assert_eq!(of(minimum(&a, &b).unwrap()), "[NaN, NaN, 3.0, NaN]");
        assert_eq!(of(maximum(&a, &Tensor::new(2.0, &Device::Cpu).unwrap()).unwrap()), "[2.0, NaN, 3.0, NaN]");
        assert_eq!(of(maximum(&Tensor::new(n, &Device::Cpu).unwrap(), &a).unwrap()), "[NaN, NaN, NaN, NaN]");
        let both = Tensor::new(&[[1.0, n, 3.0], [5.0, 2.0, f64::INFINITY]], &Device::Cpu).unwrap();
        assert_eq!(of(extreme_keepdim(&both, 0, true).unwrap()), "[5.0, NaN, inf]");
        assert_eq!(of(extreme_keepdim(&both, 1, true).unwrap()), "[NaN, inf]");
        assert_eq!(of(extreme_keepdim(&both, 1, false).unwrap()), "[NaN, 2.0]");
        assert_eq!(of(extreme_keepdim(&(&both * -1.0).unwrap(), 0, false).unwrap()), "[-5.0, NaN, -inf]");
    }

    #[test]
    fn functions_match_candle() {
        let special =
            Tensor::new(&[0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.3, -0.3], &Device::Cpu).unwrap();
        for dtype in [DType::F32, DType::F64] {
            let all = [
                special.to_dtype(dtype).unwrap(),
                some(&[3, 100, 120], dtype),
                some(&[0], dtype),
                some(&[9, 5], dtype).t().unwrap(),
            ];
            for x in &all {
                assert_eq!(bits(&affine(x, -2.5, 0.1).unwrap()), bits(&x.affine(-2.5, 0.1).unwrap()));
                assert_eq!(bits(&abs(x).unwrap()), bits(&x.abs().unwrap()));
                assert_eq!(bits(&square(x).unwrap()), bits(&x.sqr().unwrap()));
                let of = |x: &Tensor| x.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
                let signed = |v: &f64| if v.is_nan() { *v } else { f64::from(*v > 0.0) - f64::from(*v < 0.0) };
                let signs = of(x).iter().map(|v| signed(v).to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&sign(x).unwrap()), signs);
                for (low, high) in [(-0.25, 0.5), (0.5, -0.25)] {
                    // The bounds are exactly representable in f32.
                    let bound = |v: &f64| if v.is_nan() { *v } else { v.max(low).min(high) };
                    let bounds = of(x).iter().map(|v| bound(v).to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&clamp(x, low, high).unwrap()), bounds);
                }
            }
        }
        let tracked = candle_core::Var::from_tensor(&some(&[4], DType::F32)).unwrap();
        let y = mul(&square(&tracked).unwrap(), &sign(&tracked).unwrap()).unwrap().sum_all().unwrap();
        assert!(y.backward().unwrap().get(&tracked).is_some());
    }
}
