//! Matrix products of patch blocks and packed weights, tile by tile.

use crate::im2col::STRIDE;
use crate::map::MapMut;
use crate::packed::Packed;
use crate::simd::Simd;
use crate::tile::{Exit, Prefetch, finish, multiply, with_rows};

/// Number of patches in a block. A block stays in a core's cache while it is multiplied by all weights.
pub(crate) const BLOCK: usize = 96;

/// Multiplies the rows at `a`, which have stride `STRIDE`, by rows `k..k + count` of some panels of weights, and writes the
/// products to `pixels` of the output.
///
/// `column` is the first output channel of the group.
///
/// # Safety
/// The CPU must have the instruction set of `S`. For each of `pixels`, a row of `count` elements must be readable at `a`. The
/// weights must have rows `k..k + count` and all `panels`. The pixels must exist in the output, and no other thread may use their
/// channels that belong to these panels.
#[inline(always)]
pub(crate) unsafe fn block<S: Simd>(
    (a, pixels): (*const f32, &[usize]),
    (weights, group, panels): (&Packed, usize, std::ops::Range<usize>),
    (k, count): (usize, usize),
    (y, column): (&MapMut, usize),
    exit: &Exit,
) {
    // SAFETY: the tiles split the rows at `a`, and the caller guarantees that the panels exist.
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
                    with_rows!(pixels.len(), S, S::ROWS, tile::<2>((a, pixels), (panel, prefetch), count, to, exit));
                } else {
                    with_rows!(pixels.len(), S, 12, tile::<1>((a, pixels), (panel, prefetch), count, to, exit));
                }
            }
        }
    }
}

/// The range of columns of the `count` rows at `a` after trimming all-zero columns on both sides. The gradient of a single
/// class has many zero columns.
///
/// # Safety
/// The CPU must have the instruction set of `S`, and `count` rows of `columns` elements with stride `STRIDE` must be readable at
/// `a`.
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
/// The CPU must have the instruction set of `S`. `M` rows of `count` elements with stride `STRIDE` must be readable at `a`, and
/// `count` rows of `V` vectors at `panel`. `pixels` must be `M` pixels of the output with `columns` channels starting at
/// `column`, which no other thread uses.
#[inline(always)]
unsafe fn tile<S: Simd, const M: usize, const V: usize>(
    (a, pixels): (*const f32, &[usize]),
    (panel, prefetch): (*const f32, Prefetch),
    count: usize,
    (y, column, columns): (&MapMut, usize, usize),
    exit: &Exit,
) {
    // SAFETY: the caller guarantees that the rows, the panel and the pixels have these sizes.
    unsafe {
        let sums = multiply::<S, M, V>(count, (a, STRIDE, 1), (panel, V * S::LANES), prefetch);
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
