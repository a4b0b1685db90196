//! Scalar arithmetic on arrays of four elements, for any CPU.

use super::Simd;
use crate::bf16::{pair, unpair};

/// Plain arithmetic on arrays of four elements, which the compiler may vectorize.
#[derive(Clone, Copy)]
pub struct Scalar;

#[inline(always)]
fn zip(a: [f32; 4], b: [f32; 4], f: impl Fn(f32, f32) -> f32) -> [f32; 4] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

impl Simd for Scalar {
    type V = [f32; 4];
    const LANES: usize = 4;
    const LEVEL: usize = 0;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn splat(v: f32) -> [f32; 4] {
        [v; 4]
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> [f32; 4] {
        // SAFETY: the caller guarantees that `at` is valid for reads of four elements.
        unsafe { at.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}

    #[inline(always)]
    unsafe fn load_part(at: *const f32, n: usize) -> [f32; 4] {
        let mut v = [0.0; 4];
        for i in 0..n.min(4) {
            // SAFETY: the caller guarantees that `at` is valid for reads of this element.
            v[i] = unsafe { *at.add(i) };
        }
        v
    }

    #[inline(always)]
    unsafe fn store(at: *mut f32, v: [f32; 4]) {
        // SAFETY: the caller guarantees that `at` is valid for writes of four elements.
        unsafe { at.cast::<[f32; 4]>().write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn store_part(at: *mut f32, n: usize, v: [f32; 4]) {
        for i in 0..n.min(4) {
            // SAFETY: the caller guarantees that `at` is valid for writes of this element.
            unsafe { *at.add(i) = v[i] };
        }
    }

    #[inline(always)]
    fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn fma(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        zip(zip(a, b, |a, b| a * b), c, |a, b| a + b)
    }

    #[inline(always)]
    fn max(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn div(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn min(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn round(v: [f32; 4]) -> [f32; 4] {
        v.map(f32::round_ties_even)
    }

    #[inline(always)]
    fn exp2(n: [f32; 4]) -> [f32; 4] {
        n.map(|n| f32::from_bits(((n as i32).wrapping_add(127) as u32) << 23))
    }

    #[inline(always)]
    fn choose(x: [f32; 4], a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if x[i] > 0.0 { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn max_or_nan(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        zip(a, b, |a, b| if b > a || b.is_nan() { b } else { a })
    }

    #[inline(always)]
    fn where_equal(a: [f32; 4], b: [f32; 4], v: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if a[i] == b[i] { v[i] } else { 0.0 })
    }

    #[inline(always)]
    fn where_positive(x: [f32; 4], v: [f32; 4]) -> [f32; 4] {
        zip(x, v, |x, v| if x > 0.0 { v } else { 0.0 })
    }

    #[inline(always)]
    fn is_zero(v: [f32; 4]) -> bool {
        v.iter().all(|&v| v == 0.0)
    }

    #[inline(always)]
    fn sum(v: [f32; 4]) -> f32 {
        (v[0] + v[1]) + (v[2] + v[3])
    }

    #[inline(always)]
    unsafe fn round_pairs([a, b, c, d]: [f32; 4], [e, f, g, h]: [f32; 4]) -> [f32; 4] {
        [pair(a, b), pair(c, d), pair(e, f), pair(g, h)]
    }

    #[inline(always)]
    unsafe fn zip_pairs(low: [f32; 4], high: [f32; 4]) -> [f32; 4] {
        zip(low, high, pair)
    }

    #[inline(never)]
    unsafe fn dot_pairs(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        let products = zip(a, b, |a, b| {
            let ((a0, a1), (b0, b1)) = (unpair(a), unpair(b));
            a0 * b0 + a1 * b1
        });
        zip(products, c, |a, b| a + b)
    }
}
