//! A square patch of a feature map, with zeros where it extends past the border.

use crate::map::Map;
use crate::simd::Simd;
use std::ops::Range;

/// An `A × A` patch of a feature map.
pub(crate) struct Patch<const A: usize> {
    /// Address of the patch's first pixel, which may lie outside the feature map.
    at: *const f32,
    /// Stride between rows, in elements.
    row: usize,
    /// Stride between pixels, in elements.
    pitch: usize,
    /// The rows and columns of the patch that lie inside the feature map.
    rows: Range<usize>,
    columns: Range<usize>,
}

impl<const A: usize> Patch<A> {
    /// The patch of picture `n` that starts at `(top, left)` minus the padding. `top` and `left` may be negative, in two's
    /// complement.
    #[inline(always)]
    pub fn new(x: &Map, n: usize, (top, left): (usize, usize), padding: (usize, usize)) -> Self {
        let (top, left) = (top.wrapping_sub(padding.0) as isize, left.wrapping_sub(padding.1) as isize);
        let inside = |first: isize, size: usize| {
            let start = first.saturating_neg().clamp(0, A as isize);
            start as usize..(size as isize).saturating_sub(first).clamp(start, A as isize) as usize
        };
        let first = ((n * x.h) as isize).wrapping_add(top).wrapping_mul(x.w as isize).wrapping_add(left);
        Self {
            at: x.at.wrapping_offset(first.wrapping_mul(x.pitch as isize)),
            row: x.w * x.pitch,
            pitch: x.pitch,
            rows: inside(top, x.h),
            columns: inside(left, x.w),
        }
    }

    /// Whether the patch lies completely inside the feature map.
    #[inline(always)]
    pub fn is_whole(&self) -> bool {
        self.rows == (0..A) && self.columns == (0..A)
    }

    /// At most `lanes` channels of column `j`, starting at channel `c`. `WHOLE` skips the border checks.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. The map from which the patch was created must still be valid for reads, and channels
    /// `c..c + min(lanes, S::LANES)` must be in bounds. If `WHOLE`, all pixels of the patch must be inside the map.
    #[inline(always)]
    pub unsafe fn column<S: Simd, const WHOLE: bool>(&self, j: usize, c: usize, lanes: usize) -> [S::V; A] {
        // SAFETY: only pixels inside the map are read.
        unsafe {
            let mut d = [S::splat(0.0); A];
            if !WHOLE && !self.columns.contains(&j) {
                return d;
            }
            let at = self.at.wrapping_add(j * self.pitch + c);
            for i in 0..A {
                if WHOLE || self.rows.contains(&i) {
                    let at = at.wrapping_add(i * self.row);
                    d[i] = if lanes >= S::LANES { S::load(at) } else { S::load_part(at, lanes) };
                }
            }
            d
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Task, run};

    struct Columns<'a>(&'a Map<'a>, (usize, usize), (usize, usize));

    impl Task for Columns<'_> {
        type Out = (bool, Vec<f32>);

        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> Self::Out {
            let patch = Patch::<4>::new(self.0, 1, self.1, self.2);
            let mut all = vec![];
            for j in 0..4 {
                // SAFETY: the map has one channel.
                let column = unsafe { patch.column::<S, false>(j, 0, 1) };
                all.extend(column.map(S::sum));
            }
            (patch.is_whole(), all)
        }
    }

    #[test]
    fn pixels_outside_of_the_map_are_zeros() {
        let (h, w) = (5, 7);
        let numbers: Vec<f32> = (0..2 * h * w).map(|i| i as f32 + 1.0).collect();
        let map = Map::new(&numbers, [2, h, w, 1], 1);
        for padding in [(0, 0), (1, 2), (3, 5), (usize::MAX, 1), (2, usize::MAX - 1)] {
            for top in 0..=h + 1 {
                for left in 0..=w + 1 {
                    let at = |i: usize, j: usize| {
                        let (y, x) = ((top + i).wrapping_sub(padding.0), (left + j).wrapping_sub(padding.1));
                        (y < h && x < w).then(|| numbers[(h + y) * w + x])
                    };
                    let expected: Vec<_> = (0..16).map(|k| at(k % 4, k / 4)).collect();
                    let (whole, found) = run(Columns(&map, (top, left), padding));
                    assert_eq!(whole, expected.iter().all(Option::is_some), "{padding:?} {top} {left}");
                    let expected: Vec<_> = expected.into_iter().map(Option::unwrap_or_default).collect();
                    assert_eq!(found, expected, "{padding:?} {top} {left}");
                }
            }
        }
    }
}
