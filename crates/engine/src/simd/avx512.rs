//! 512 bits.

use super::{Simd, Task};
use std::arch::x86_64::*;

/// AVX-512F and DQ.
#[derive(Clone, Copy)]
pub struct Avx512;

#[target_feature(enable = "avx512f,avx512dq,avx2,fma")]
pub(super) unsafe fn run<T: Task>(task: T) -> T::Out {
    unsafe { task.run::<Avx512>() }
}

impl Simd for Avx512 {
    type V = __m512;
    const LANES: usize = 16;
    const LEVEL: usize = 3;
    const ROWS: usize = 12;

    #[inline(always)]
    unsafe fn splat(v: f32) -> __m512 {
        _mm512_set1_ps(v)
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> __m512 {
        _mm512_loadu_ps(at)
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        _mm_prefetch::<_MM_HINT_T1>(at.cast());
    }

    #[inline(always)]
    unsafe fn load_part(at: *const f32, n: usize) -> __m512 {
        _mm512_maskz_loadu_ps(mask(n), at)
    }

    #[inline(always)]
    unsafe fn store(at: *mut f32, v: __m512) {
        _mm512_storeu_ps(at, v)
    }

    #[inline(always)]
    unsafe fn store_part(at: *mut f32, n: usize, v: __m512) {
        _mm512_mask_storeu_ps(at, mask(n), v)
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }

    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        _mm512_sub_ps(a, b)
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        _mm512_mul_ps(a, b)
    }

    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }

    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        _mm512_max_ps(a, b)
    }

    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        _mm512_div_ps(a, b)
    }

    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        _mm512_min_ps(a, b)
    }

    #[inline(always)]
    unsafe fn round(v: __m512) -> __m512 {
        _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(v)
    }

    #[inline(always)]
    unsafe fn exp2(n: __m512) -> __m512 {
        let biased = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
        _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
    }

    #[inline(always)]
    unsafe fn choose(x: __m512, a: __m512, b: __m512) -> __m512 {
        _mm512_mask_mov_ps(b, _mm512_cmp_ps_mask::<_CMP_GT_OQ>(x, _mm512_setzero_ps()), a)
    }

    #[inline(always)]
    unsafe fn max_or_nan(a: __m512, b: __m512) -> __m512 {
        let greater = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(b, a) | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(b, b);
        _mm512_mask_mov_ps(a, greater, b)
    }

    #[inline(always)]
    unsafe fn where_equal(a: __m512, b: __m512, v: __m512) -> __m512 {
        _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b), v)
    }

    #[inline(always)]
    unsafe fn where_positive(x: __m512, v: __m512) -> __m512 {
        _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(x, _mm512_setzero_ps()), v)
    }

    #[inline(always)]
    unsafe fn is_zero(v: __m512) -> bool {
        _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(v, _mm512_setzero_ps()) == 0
    }

    #[inline(always)]
    unsafe fn sum(v: __m512) -> f32 {
        _mm512_reduce_add_ps(v)
    }
}

#[inline(always)]
fn mask(n: usize) -> u16 {
    ((1u32 << n.min(16)) - 1) as u16
}
