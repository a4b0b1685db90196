//! Sums of outer products: the matrix product `aᵀ b` over many rows.

use crate::simd::Simd;
use crate::tile::{Prefetch, multiply, with_rows};

/// The rows of a matrix, with a row stride of `apart` elements.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub at: *const f32,
    pub apart: usize,
}

/// Writes `aᵀ b`, `(m, n)`, to the rows at `to` (row stride `apart`); with `more`, adds it to the existing values. `a` has `count` rows of
/// `m` elements, and `b` has `count` rows of `n` elements. `n` must be a multiple of the number of lanes.
///
/// # Safety
/// The CPU must support the instruction set `S`. `a.at` must be valid for reads of `count` rows of `m` elements, and `b.at` for reads of
/// `count` rows of `n` elements. `to` must be valid for writes of `m` rows of `n` elements, which no other thread may access and which,
/// with `more`, must be initialized.
#[inline(always)]
pub(crate) unsafe fn outer_products<S: Simd>(
    (m, n, count): (usize, usize, usize),
    a: Rows,
    b: Rows,
    (to, apart): (*mut f32, usize),
    more: bool,
) {
    // SAFETY: the tiles partition the rows of the result, and the columns are whole vectors below `n`.
    unsafe {
        let mut column = 0;
        while column < n {
            let wide = n - column > S::LANES;
            let tiles = m.div_ceil(most_rows::<S>(wide));
            for t in 0..tiles {
                let (start, end) = (t * m / tiles, (t + 1) * m / tiles);
                let to = (to.add(start * apart + column), apart);
                let (a, b) = (Rows { at: a.at.add(start), ..a }, Rows { at: b.at.add(column), ..b });
                if wide {
                    with_rows!(end - start, S, S::ROWS, tile::<2>(count, a, b, to, more));
                } else {
                    with_rows!(end - start, S, 12, tile::<1>(count, a, b, to, more));
                }
            }
            column += if wide { 2 } else { 1 } * S::LANES;
        }
    }
}

/// Maximum number of rows of sums that fit in registers, for rows of two vectors (`wide`) or one.
#[inline(always)]
fn most_rows<S: Simd>(wide: bool) -> usize {
    match (wide, S::ROWS) {
        (false, _) => 12,
        // With 16 registers, the sums of six rows leave too few free, and the compiler spills two of them in each step.
        (true, 6) => 5,
        (true, rows) => rows,
    }
}

/// Computes `M` rows of `V` vectors of the result.
///
/// # Safety
/// Same as for [`outer_products`].
#[inline(always)]
unsafe fn tile<S: Simd, const M: usize, const V: usize>(
    count: usize,
    a: Rows,
    b: Rows,
    (to, apart): (*mut f32, usize),
    more: bool,
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let sums = multiply::<S, M, V, false>(count, (a.at, 1, a.apart), (b.at, b.apart), Prefetch(b.at, b.apart));
        for m in 0..M {
            for j in 0..V {
                let to = to.add(m * apart + j * S::LANES);
                S::store(to, if more { S::add(S::load(to), sums[m][j]) } else { sums[m][j] });
            }
        }
    }
}
