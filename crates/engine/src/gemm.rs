//! Blocks of patches times packed weights, tile by tile.

use crate::map::MapMut;
use crate::packed::Packed;
use crate::patches::STRIDE;
use crate::simd::Simd;
use crate::tile::{Ahead, Exit, finish, multiply, with_rows};

/// Patches in a block: what a core keeps close while it goes through the weights.
pub(crate) const BLOCK: usize = 96;

/// Rows `STRIDE` apart at `a`, times rows `k..k + count` of the weights' panels `panels`, into the output's pixels.
///
/// `column` is the group's first channel of the output.
#[inline(always)]
pub(crate) unsafe fn block<S: Simd>(
    (a, pixels): (*const f32, &[usize]),
    (weights, group, panels): (&Packed, usize, std::ops::Range<usize>),
    (k, count): (usize, usize),
    (y, column): (&MapMut, usize),
    exit: &Exit,
) {
    for b in panels {
        let (panel, width) = (weights.row(group, b, k), weights.width(b));
        let first = b * 2 * S::LANES;
        let to = (y, column + first, (weights.o - first).min(width));
        let limit = if width > S::LANES { S::ROWS } else { 12 };
        let tiles = pixels.len().div_ceil(limit);
        for t in 0..tiles {
            let (start, end) = (t * pixels.len() / tiles, (t + 1) * pixels.len() / tiles);
            let (a, pixels) = (a.add(start * STRIDE), &pixels[start..end]);
            let ahead = Ahead::behind(panel, (count, width), (t, tiles));
            if width > S::LANES {
                with_rows!(pixels.len(), S, S::ROWS, tile::<2>((a, pixels), (panel, ahead), count, to, exit));
            } else {
                with_rows!(pixels.len(), S, 12, tile::<1>((a, pixels), (panel, ahead), count, to, exit));
            }
        }
    }
}

/// Columns of `count` rows at `a` behind which, and before which, all is 0: gradients of one class have many.
#[inline(always)]
pub(crate) unsafe fn within_zeros<S: Simd>(a: *const f32, count: usize, columns: usize) -> std::ops::Range<usize> {
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

/// One tile.
#[inline(always)]
unsafe fn tile<S: Simd, const M: usize, const V: usize>(
    (a, pixels): (*const f32, &[usize]),
    (panel, ahead): (*const f32, Ahead),
    count: usize,
    (y, column, columns): (&MapMut, usize, usize),
    exit: &Exit,
) {
    let sums = multiply::<S, M, V>(count, (a, STRIDE, 1), (panel, V * S::LANES), ahead);
    for m in 0..M {
        let pixel = pixels[m];
        for j in 0..V {
            let c = column + j * S::LANES;
            let n = columns.saturating_sub(j * S::LANES);
            finish::<S>(sums[m][j], y.at.add(pixel * y.pitch + c), pixel, c, n, exit);
        }
    }
}
