//! 128-bit vectors on ARM. NEON is part of the target's baseline, so its arithmetic is safe to call.

use super::Simd;
use std::arch::aarch64::*;

/// The NEON instruction set, which every 64-bit ARM CPU supports.
#[derive(Clone, Copy)]
pub struct Neon;

/// Defines functions that map vectors to a vector, lane by lane.
macro_rules! lanewise {
    ($($name:ident($($arg:ident),+): $value:expr;)+) => {$(
        #[inline(always)]
        fn $name($($arg: float32x4_t),+) -> float32x4_t {
            $value
        }
    )+};
}

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
        // SAFETY: the caller guarantees that `at` is valid for reads of four elements.
        unsafe { vld1q_f32(at) }
    }

    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}

    #[inline(always)]
    unsafe fn load_part(at: *const f32, n: usize) -> float32x4_t {
        let mut v = [0f32; 4];
        for i in 0..n.min(4) {
            // SAFETY: the caller guarantees that `at` is valid for reads of this element.
            v[i] = unsafe { *at.add(i) };
        }
        // SAFETY: `v` has four elements.
        unsafe { vld1q_f32(v.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn store(at: *mut f32, v: float32x4_t) {
        // SAFETY: the caller guarantees that `at` is valid for writes of four elements.
        unsafe { vst1q_f32(at, v) }
    }

    #[inline(always)]
    unsafe fn store_part(at: *mut f32, n: usize, v: float32x4_t) {
        let mut all = [0f32; 4];
        // SAFETY: `all` has four elements.
        unsafe { vst1q_f32(all.as_mut_ptr(), v) };
        for i in 0..n.min(4) {
            // SAFETY: the caller guarantees that `at` is valid for writes of this element.
            unsafe { *at.add(i) = all[i] };
        }
    }

    lanewise! {
        add(a, b): vaddq_f32(a, b);
        sub(a, b): vsubq_f32(a, b);
        mul(a, b): vmulq_f32(a, b);
        fma(a, b, c): vfmaq_f32(c, a, b);
        max(a, b): vbslq_f32(vcgtq_f32(a, b), a, b);
        div(a, b): vdivq_f32(a, b);
        min(a, b): vbslq_f32(vcltq_f32(a, b), a, b);
        round(v): vrndnq_f32(v);
        exp2(n): vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127))));
        choose(x, a, b): vbslq_f32(vcgtzq_f32(x), a, b);
        max_or_nan(a, b): vbslq_f32(vorrq_u32(vcgtq_f32(b, a), vmvnq_u32(vceqq_f32(b, b))), b, a);
        where_equal(a, b, v): vbslq_f32(vceqq_f32(a, b), v, vdupq_n_f32(0.0));
        where_positive(x, v): vbslq_f32(vcgtzq_f32(x), v, vdupq_n_f32(0.0));
    }

    #[inline(always)]
    fn is_zero(v: float32x4_t) -> bool {
        vminvq_u32(vceqq_f32(v, vdupq_n_f32(0.0))) != 0
    }

    #[inline(always)]
    fn sum(v: float32x4_t) -> f32 {
        vaddvq_f32(v)
    }
}
