//! 128 bits of ARM.

use super::Simd;
use std::arch::aarch64::*;

/// What every ARM of 64 bits has.
#[derive(Clone, Copy)]
pub struct Neon;

impl Simd for Neon {
    type V = float32x4_t;
    const LANES: usize = 4;
    const LEVEL: usize = 1;
    const ROWS: usize = 12;

    #[inline(always)]
    unsafe fn splat(v: f32) -> float32x4_t {
        vdupq_n_f32(v)
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> float32x4_t {
        vld1q_f32(at)
    }

    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}

    #[inline(always)]
    unsafe fn load_part(at: *const f32, n: usize) -> float32x4_t {
        let mut v = [0f32; 4];
        for i in 0..n.min(4) {
            v[i] = *at.add(i);
        }
        vld1q_f32(v.as_ptr())
    }

    #[inline(always)]
    unsafe fn store(at: *mut f32, v: float32x4_t) {
        vst1q_f32(at, v)
    }

    #[inline(always)]
    unsafe fn store_part(at: *mut f32, n: usize, v: float32x4_t) {
        let mut all = [0f32; 4];
        vst1q_f32(all.as_mut_ptr(), v);
        for i in 0..n.min(4) {
            *at.add(i) = all[i];
        }
    }

    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vaddq_f32(a, b)
    }

    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vsubq_f32(a, b)
    }

    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vmulq_f32(a, b)
    }

    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        vfmaq_f32(c, a, b)
    }

    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vbslq_f32(vcgtq_f32(a, b), a, b)
    }

    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vdivq_f32(a, b)
    }

    #[inline(always)]
    unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vbslq_f32(vcltq_f32(a, b), a, b)
    }

    #[inline(always)]
    unsafe fn round(v: float32x4_t) -> float32x4_t {
        vrndnq_f32(v)
    }

    #[inline(always)]
    unsafe fn exp2(n: float32x4_t) -> float32x4_t {
        let biased = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
        vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased))
    }

    #[inline(always)]
    unsafe fn choose(x: float32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vbslq_f32(vcgtzq_f32(x), a, b)
    }

    #[inline(always)]
    unsafe fn max_or_nan(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        let greater = vorrq_u32(vcgtq_f32(b, a), vmvnq_u32(vceqq_f32(b, b)));
        vbslq_f32(greater, b, a)
    }

    #[inline(always)]
    unsafe fn where_equal(a: float32x4_t, b: float32x4_t, v: float32x4_t) -> float32x4_t {
        vbslq_f32(vceqq_f32(a, b), v, vdupq_n_f32(0.0))
    }

    #[inline(always)]
    unsafe fn where_positive(x: float32x4_t, v: float32x4_t) -> float32x4_t {
        vbslq_f32(vcgtzq_f32(x), v, vdupq_n_f32(0.0))
    }

    #[inline(always)]
    unsafe fn is_zero(v: float32x4_t) -> bool {
        vminvq_u32(vceqq_f32(v, vdupq_n_f32(0.0))) != 0
    }

    #[inline(always)]
    unsafe fn sum(v: float32x4_t) -> f32 {
        vaddvq_f32(v)
    }
}
