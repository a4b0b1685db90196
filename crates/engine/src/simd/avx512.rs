//! 512-bit vectors.

use super::{Simd, Task};
use std::arch::x86_64::*;

/// The instruction sets AVX-512F and AVX-512DQ.
#[derive(Clone, Copy)]
pub struct Avx512;

/// A vector of sixteen lanes. Only unsafe functions of [`Avx512`] create vectors, so a vector exists only if the CPU supports AVX-512.
#[derive(Clone, Copy)]
pub struct Vector(__m512);

/// Runs a task compiled for AVX-512.
///
/// # Safety
/// The CPU must support AVX-512F, AVX-512DQ, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx512dq,avx2,fma")]
pub(super) unsafe fn run<T: Task>(task: T) -> T::Out {
    // SAFETY: the caller guarantees that the CPU supports the instruction set.
    unsafe { task.run::<Avx512>() }
}

/// Runs a task compiled for AVX-512 with products of bf16 pairs.
///
/// # Safety
/// The CPU must support AVX-512F, AVX-512DQ, AVX512-BF16, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx512dq,avx512bf16,avx2,fma")]
pub(super) unsafe fn run_bf16<T: Task>(task: T) -> T::Out {
    // SAFETY: the caller guarantees that the CPU supports the instruction set.
    unsafe { task.run::<Avx512>() }
}

/// Defines functions that map vectors to a vector, lane by lane.
macro_rules! lanewise {
    ($($name:ident($($arg:ident),+): $value:expr;)+) => {$(
        #[inline(always)]
        fn $name($($arg: Vector),+) -> Vector {
            // SAFETY: the arguments exist, so the CPU supports AVX-512.
            unsafe { Vector($value) }
        }
    )+};
}

impl Simd for Avx512 {
    type V = Vector;
    const LANES: usize = 16;
    const LEVEL: usize = 3;
    const ROWS: usize = 12;

    #[inline(always)]
    unsafe fn splat(v: f32) -> Vector {
        // SAFETY: the caller guarantees that the CPU supports AVX-512.
        unsafe { Vector(_mm512_set1_ps(v)) }
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Vector {
        // SAFETY: the caller guarantees that the CPU supports AVX-512 and that `at` is valid for reads of sixteen elements.
        unsafe { Vector(_mm512_loadu_ps(at)) }
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        // SAFETY: prefetching is only a hint; the CPU ignores invalid addresses.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn load_part(at: *const f32, n: usize) -> Vector {
        // SAFETY: the caller guarantees that the CPU supports AVX-512 and that `at` is valid for reads of the lanes of the
        // mask; the others are not read.
        unsafe { Vector(_mm512_maskz_loadu_ps(mask(n), at)) }
    }

    #[inline(always)]
    unsafe fn store(at: *mut f32, v: Vector) {
        // SAFETY: the caller guarantees that `at` is valid for writes of sixteen elements; `v` exists, so the CPU supports AVX-512.
        unsafe { _mm512_storeu_ps(at, v.0) }
    }

    #[inline(always)]
    unsafe fn store_part(at: *mut f32, n: usize, v: Vector) {
        // SAFETY: the caller guarantees that `at` is valid for writes of the lanes of the mask; the others are not written.
        unsafe { _mm512_mask_storeu_ps(at, mask(n), v.0) }
    }

    lanewise! {
        add(a, b): _mm512_add_ps(a.0, b.0);
        sub(a, b): _mm512_sub_ps(a.0, b.0);
        mul(a, b): _mm512_mul_ps(a.0, b.0);
        fma(a, b, c): _mm512_fmadd_ps(a.0, b.0, c.0);
        max(a, b): _mm512_max_ps(a.0, b.0);
        div(a, b): _mm512_div_ps(a.0, b.0);
        min(a, b): _mm512_min_ps(a.0, b.0);
        round(v): _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(v.0);
        exp2(n): {
            let biased = _mm512_add_epi32(_mm512_cvtps_epi32(n.0), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
        };
        choose(x, a, b): _mm512_mask_mov_ps(b.0, _mm512_cmp_ps_mask::<_CMP_GT_OQ>(x.0, _mm512_setzero_ps()), a.0);
        max_or_nan(a, b): {
            let greater = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(b.0, a.0) | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(b.0, b.0);
            _mm512_mask_mov_ps(a.0, greater, b.0)
        };
        where_equal(a, b, v): _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a.0, b.0), v.0);
        where_positive(x, v): _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(x.0, _mm512_setzero_ps()), v.0);
    }

    #[inline(always)]
    fn is_zero(v: Vector) -> bool {
        // SAFETY: `v` exists, so the CPU supports AVX-512.
        unsafe { _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(v.0, _mm512_setzero_ps()) == 0 }
    }

    #[inline(always)]
    fn sum(v: Vector) -> f32 {
        // SAFETY: `v` exists, so the CPU supports AVX-512.
        unsafe { _mm512_reduce_add_ps(v.0) }
    }

    #[inline(always)]
    unsafe fn round_pairs(first: Vector, second: Vector) -> Vector {
        // SAFETY: the caller guarantees that the CPU supports AVX512-BF16. Both types are 64 bytes of plain data.
        unsafe { Vector(std::mem::transmute::<__m512bh, __m512>(_mm512_cvtne2ps_pbh(second.0, first.0))) }
    }

    #[inline(always)]
    unsafe fn zip_pairs(low: Vector, high: Vector) -> Vector {
        // SAFETY: the caller guarantees that the CPU supports AVX512-BF16. Both types are 32 bytes of plain data.
        unsafe {
            let [low, high] = [low, high]
                .map(|v| _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v.0))));
            Vector(_mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32::<16>(high))))
        }
    }

    #[inline(always)]
    unsafe fn dot_pairs(a: Vector, b: Vector, c: Vector) -> Vector {
        // SAFETY: the caller guarantees that the CPU supports AVX512-BF16. Both types are 64 bytes of plain data.
        unsafe {
            let [a, b] = [a, b].map(|v| std::mem::transmute::<__m512, __m512bh>(v.0));
            Vector(_mm512_dpbf16_ps(c.0, a, b))
        }
    }

    #[inline(always)]
    unsafe fn transpose(from: (*const f32, usize), to: (*mut f32, usize)) {
        // SAFETY: the caller guarantees that the CPU supports AVX-512 and that sixteen rows of sixteen elements are valid.
        unsafe {
            let mut rows = [_mm512_setzero_ps(); 16];
            for row in 0..16 {
                rows[row] = _mm512_loadu_ps(from.0.add(row * from.1));
            }
            let mut mixed = rows;
            for i in 0..8 {
                mixed[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
                mixed[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
            }
            for i in (0..16).step_by(4) {
                for k in 0..2 {
                    let (above, below) = (_mm512_castps_pd(mixed[i + k]), _mm512_castps_pd(mixed[i + k + 2]));
                    rows[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(above, below));
                    rows[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(above, below));
                }
            }
            // `rows[4 i + c]` now holds columns `c`, `4 + c`, `8 + c` and `12 + c` of rows `4 i` to `4 i + 3`.
            for c in 0..4 {
                let even = _mm512_shuffle_f32x4::<0x88>(rows[c], rows[4 + c]);
                let odd = _mm512_shuffle_f32x4::<0xdd>(rows[c], rows[4 + c]);
                let even_below = _mm512_shuffle_f32x4::<0x88>(rows[8 + c], rows[12 + c]);
                let odd_below = _mm512_shuffle_f32x4::<0xdd>(rows[8 + c], rows[12 + c]);
                _mm512_storeu_ps(to.0.add(c * to.1), _mm512_shuffle_f32x4::<0x88>(even, even_below));
                _mm512_storeu_ps(to.0.add((4 + c) * to.1), _mm512_shuffle_f32x4::<0x88>(odd, odd_below));
                _mm512_storeu_ps(to.0.add((8 + c) * to.1), _mm512_shuffle_f32x4::<0xdd>(even, even_below));
                _mm512_storeu_ps(to.0.add((12 + c) * to.1), _mm512_shuffle_f32x4::<0xdd>(odd, odd_below));
            }
        }
    }
}

/// A mask with the bits of the first `n` lanes set.
#[inline(always)]
fn mask(n: usize) -> u16 {
    ((1u32 << n.min(16)) - 1) as u16
}
