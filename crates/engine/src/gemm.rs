//! Matrix products of patch blocks and packed weights, tile by tile.

use crate::im2col::STRIDE;
use crate::map::MapMut;
use crate::packed::Packed;
use crate::simd::Simd;
use crate::tile::{Exit, Prefetch, finish, multiply, with_rows};

/// Number of patches in a block. A block stays in a core's cache while it is multiplied by all weights.
pub(crate) const BLOCK: usize = 96;

/// Multiplies the rows at `a` (row stride `STRIDE`) by rows `k..k + count` of the weight panels `panels`, and writes the products to
/// the output pixels `pixels`.
///
/// `column` is the first output channel of the group. With `PAIRS`, elements are pairs of bf16 values.
///
/// # Safety
/// The CPU must support the instruction set `S`; with `PAIRS`, the task must run with [`run_bf16`](crate::simd::run_bf16). `a` must be
/// valid for reads of `pixels.len()` rows of `count` elements. `weights` must contain rows `k..k + count` and all of `panels`. Each index
/// in `pixels` must be in bounds of `y`, and no other thread may access the channels of these pixels that `panels` covers.
#[inline(always)]
pub(crate) unsafe fn block<S: Simd, const PAIRS: bool>(
    (a, pixels): (*const f32, &[usize]),
    (weights, group, panels): (&Packed, usize, std::ops::Range<usize>),
    (k, count): (usize, usize),
    (y, column): (&MapMut, usize),
    exit: &Exit,
) {
    // SAFETY: the tiles partition the rows at `a`, and the caller guarantees that `panels` is in bounds.
    unsafe {
        for b in panels {
            let (panel, width) = (weights.row(group, b, k), weights.width(b));
            let first = b * 2 * S::LANES;
            let to = (y, column + first, (weights.o - first).min(width));
            let limit = if width > S::LANES { S::ROWS } else { 12 };
            let tiles = pixels.len().div_ceil(limit);
            for t in 0..tiles {
                let (start, end) = (t * pixels.len() / tiles, (t + 1) * pixels.len() / tiles);
                let (a, pixels) = (a.add(start * STRIDE), &pixels[start..end]);
                let prefetch = Prefetch::after(panel, (count, width), (t, tiles));
                if width > S::LANES {
                    with_rows!(
                        pixels.len(),
                        S,
                        S::ROWS,
                        tile::<2, PAIRS>((a, pixels), (panel, prefetch), count, to, exit)
                    );
                } else {
                    with_rows!(pixels.len(), S, 12, tile::<1, PAIRS>((a, pixels), (panel, prefetch), count, to, exit));
                }
            }
        }
    }
}

/// The range of columns of the `count` rows at `a` after trimming all-zero columns on both sides. The gradient of a single
/// class has many zero columns.
///
/// # Safety
/// The CPU must support the instruction set `S`, and `a` must be valid for reads of `count` rows of `columns` elements
/// (row stride `STRIDE`).
#[inline(always)]
pub(crate) unsafe fn within_zeros<S: Simd>(a: *const f32, count: usize, columns: usize) -> std::ops::Range<usize> {
    // SAFETY: only the first `columns` elements of each row are read.
    unsafe {
        let zero = |column: usize| {
            let n = (columns - column).min(S::LANES);
            (0..count).all(|i| S::is_zero(S::load_part(a.add(i * STRIDE + column), n)))
        };
        let mut start = 0;
        while start < columns && zero(start) {
            start += S::LANES;
        }
        let mut end = columns.div_ceil(S::LANES) * S::LANES;
        while end > start && zero(end - S::LANES) {
            end -= S::LANES;
        }
        start.min(columns)..end.min(columns)
    }
}

/// Computes one tile of `M` pixels and `V` vectors of channels.
///
/// # Safety
/// The CPU must support the instruction set `S`; with `PAIRS`, the task must run with [`run_bf16`](crate::simd::run_bf16). `a` must be
/// valid for reads of `M` rows of `count` elements (row stride `STRIDE`), and `panel` for reads of `count` rows of `V` vectors. `pixels`
/// must hold the indices of `M` pixels of `y` with channels `column..column + columns`, which no other thread may access.
#[inline(always)]
unsafe fn tile<S: Simd, const M: usize, const V: usize, const PAIRS: bool>(
    (a, pixels): (*const f32, &[usize]),
    (panel, prefetch): (*const f32, Prefetch),
    count: usize,
    (y, column, columns): (&MapMut, usize, usize),
    exit: &Exit,
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let sums = multiply::<S, M, V, PAIRS>(count, (a, STRIDE, 1), (panel, V * S::LANES), prefetch);
        for m in 0..M {
            let pixel = pixels[m];
            for j in 0..V {
                let c = column + j * S::LANES;
                let n = columns.saturating_sub(j * S::LANES);
                finish::<S>(sums[m][j], y.at.add(pixel * y.pitch + c), pixel, c, n, exit);
            }
        }
    }
}
