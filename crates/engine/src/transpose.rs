//! Transposes matrices, block by block.

use crate::simd::Simd;

/// Writes the transpose of a matrix of `rows` × `columns` elements, `to[column][row] = from[row][column]`. The row strides are passed along
/// with the pointers.
///
/// # Safety
/// The CPU must support the instruction set `S`. `from` must be valid for reads of `rows` rows of `columns` elements, and `to` for writes of
/// `columns` rows of `rows` elements, which no other thread may access.
#[inline(always)]
pub(crate) unsafe fn transpose<S: Simd>(
    (from, from_stride): (*const f32, usize),
    (to, to_stride): (*mut f32, usize),
    (rows, columns): (usize, usize),
) {
    // SAFETY: the caller guarantees that these rows and columns are valid.
    unsafe {
        for row in (0..rows).step_by(S::LANES) {
            for column in (0..columns).step_by(S::LANES) {
                let (from, to) = (from.add(row * from_stride + column), to.add(column * to_stride + row));
                let (height, width) = ((rows - row).min(S::LANES), (columns - column).min(S::LANES));
                if height == S::LANES && width == S::LANES {
                    S::transpose((from, from_stride), (to, to_stride));
                    continue;
                }
                for row in 0..height {
                    for column in 0..width {
                        *to.add(column * to_stride + row) = *from.add(row * from_stride + column);
                    }
                }
            }
        }
    }
}
