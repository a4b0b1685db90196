//! 256-bit vectors with fused multiply-add.

use super::{Simd, Task};
use std::arch::x86_64::*;

/// The instruction sets AVX2 and FMA.
#[derive(Clone, Copy)]
pub struct Avx2;

/// A vector of eight lanes. Only unsafe functions of [`Avx2`] create vectors, so a vector exists only if the CPU supports AVX2 and
/// FMA.
#[derive(Clone, Copy)]
pub struct Vector(__m256);

/// Runs a task compiled for AVX2.
///
/// # Safety
/// The CPU must support AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run<T: Task>(task: T) -> T::Out {
    // SAFETY: the caller guarantees that the CPU supports the instruction set.
    unsafe { task.run::<Avx2>() }
}

/// Defines functions that map vectors to a vector, lane by lane.
macro_rules! lanewise {
    ($($name:ident($($arg:ident),+): $value:expr;)+) => {$(
        #[inline(always)]
        fn $name($($arg: Vector),+) -> Vector {
            // SAFETY: the arguments exist, so the CPU supports AVX2 and FMA.
            unsafe { Vector($value) }
        }
    )+};
}

impl Simd for Avx2 {
    type V = Vector;
    const LANES: usize = 8;
    const LEVEL: usize = 2;
    const ROWS: usize = 6;

    #[inline(always)]
    unsafe fn splat(v: f32) -> Vector {
        // SAFETY: the caller guarantees that the CPU supports AVX2.
        unsafe { Vector(_mm256_set1_ps(v)) }
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Vector {
        // SAFETY: the caller guarantees that the CPU supports AVX2 and that `at` is valid for reads of eight elements.
        unsafe { Vector(_mm256_loadu_ps(at)) }
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        // SAFETY: prefetching is only a hint; the CPU ignores invalid addresses.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn load_part(at: *const f32, n: usize) -> Vector {
        // SAFETY: the caller guarantees that the CPU supports AVX2 and that `at` is valid for reads of the lanes of the
        // mask; the others are not read.
        unsafe { Vector(_mm256_maskload_ps(at, mask(n))) }
    }

    #[inline(always)]
    unsafe fn store(at: *mut f32, v: Vector) {
        // SAFETY: the caller guarantees that `at` is valid for writes of eight elements; `v` exists, so the CPU supports AVX2.
        unsafe { _mm256_storeu_ps(at, v.0) }
    }

    #[inline(always)]
    unsafe fn store_part(at: *mut f32, n: usize, v: Vector) {
        // SAFETY: the caller guarantees that `at` is valid for writes of the lanes of the mask; the others are not written.
        unsafe { _mm256_maskstore_ps(at, mask(n), v.0) }
    }

    lanewise! {
        add(a, b): _mm256_add_ps(a.0, b.0);
        sub(a, b): _mm256_sub_ps(a.0, b.0);
        mul(a, b): _mm256_mul_ps(a.0, b.0);
        fma(a, b, c): _mm256_fmadd_ps(a.0, b.0, c.0);
        max(a, b): _mm256_max_ps(a.0, b.0);
        div(a, b): _mm256_div_ps(a.0, b.0);
        min(a, b): _mm256_min_ps(a.0, b.0);
        round(v): _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(v.0);
        exp2(n): {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n.0), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
        };
        choose(x, a, b): _mm256_blendv_ps(b.0, a.0, _mm256_cmp_ps::<_CMP_GT_OQ>(x.0, _mm256_setzero_ps()));
        max_or_nan(a, b): {
            let greater = _mm256_or_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(b.0, a.0), _mm256_cmp_ps::<_CMP_UNORD_Q>(b.0, b.0));
            _mm256_blendv_ps(a.0, b.0, greater)
        };
        where_equal(a, b, v): _mm256_and_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a.0, b.0), v.0);
        where_positive(x, v): _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(x.0, _mm256_setzero_ps()), v.0);
    }

    #[inline(always)]
    fn is_zero(v: Vector) -> bool {
        // SAFETY: `v` exists, so the CPU supports AVX2.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(v.0, _mm256_setzero_ps())) == 0 }
    }

    #[inline(always)]
    fn sum(v: Vector) -> f32 {
        // SAFETY: `v` exists, so the CPU supports AVX2.
        unsafe {
            let half = _mm_add_ps(_mm256_castps256_ps128(v.0), _mm256_extractf128_ps::<1>(v.0));
            let two = _mm_add_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    unsafe fn transpose(from: (*const f32, usize), to: (*mut f32, usize)) {
        // SAFETY: the caller guarantees that the CPU supports AVX2 and that eight rows of eight elements are valid.
        unsafe {
            let mut rows = [_mm256_setzero_ps(); 8];
            for row in 0..8 {
                rows[row] = _mm256_loadu_ps(from.0.add(row * from.1));
            }
            let mut mixed = rows;
            for i in 0..4 {
                mixed[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
                mixed[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
            }
            for i in (0..8).step_by(4) {
                for k in 0..2 {
                    let (above, below) = (_mm256_castps_pd(mixed[i + k]), _mm256_castps_pd(mixed[i + k + 2]));
                    rows[i + 2 * k] = _mm256_castpd_ps(_mm256_unpacklo_pd(above, below));
                    rows[i + 2 * k + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(above, below));
                }
            }
            // `rows[4 i + c]` now holds columns `c` and `4 + c` of rows `4 i` to `4 i + 3`.
            for c in 0..4 {
                let (above, below) = (rows[c], rows[4 + c]);
                _mm256_storeu_ps(to.0.add(c * to.1), _mm256_permute2f128_ps::<0x20>(above, below));
                _mm256_storeu_ps(to.0.add((4 + c) * to.1), _mm256_permute2f128_ps::<0x31>(above, below));
            }
        }
    }
}

/// A mask with the sign bits of the first `n` lanes set.
///
/// # Safety
/// The CPU must support AVX2.
#[inline(always)]
unsafe fn mask(n: usize) -> __m256i {
    // SAFETY: the caller guarantees that the CPU supports AVX2.
    unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(n.min(8) as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
}
