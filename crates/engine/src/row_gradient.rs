//! The weight gradient of a convolution, computed row by row of the output. The taps of a kernel row are adjacent in memory, so
//! no patches are copied.

use crate::buffer::Scratch;
use crate::im2col::{Patches, copy, zero};
use crate::map::Map;
use crate::outer_products::{Rows, outer_products};
use crate::simd::{Simd, Task};
use std::ops::Range;

/// Minimum length, in pixels, of the output rows over which products are summed in registers.
const LEAST: usize = 12;
/// Maximum number of sums that fit in a core's cache.
const SUMS: usize = 1 << 14;

/// A task that computes the gradient of all weights for some pictures. The convolution must have one group.
pub(crate) struct RowGradient<'a> {
    pub patches: &'a Patches,
    pub dy: &'a Map<'a>,
    pub x: &'a Map<'a>,
    /// The range of pictures.
    pub range: Range<usize>,
    /// The weight gradient under construction: a row of `width` output channels for each element of a patch.
    pub sums: *mut f32,
    pub width: usize,
}

impl RowGradient<'_> {
    /// Whether computing the weight gradient row by row is faster than by im2col.
    pub fn pays(patches: &Patches, width: usize) -> bool {
        let columns = padded(patches);
        // Columns in the padding are multiplied as well.
        let few = columns.len() <= 2 * patches.grid.1 * patches.step.1 + 64;
        few && patches.grid.1 >= LEAST && patches.len() * width <= SUMS && patches.runs.iter().all(|r| r.taps > 1)
    }
}

/// The input columns read by the taps of an output row. Columns in the left padding are negative.
fn padded(patches: &Patches) -> Range<isize> {
    let last = (patches.grid.1.max(1) - 1) * patches.step.1;
    let first = patches.runs.iter().map(|r| r.dx).min().unwrap_or(0);
    let end = patches.runs.iter().map(|r| r.dx + r.taps as isize).max().unwrap_or(0);
    first..end + last as isize
}

impl Task for RowGradient<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (patches, columns) = (self.patches, padded(self.patches));
        let (rows, count) = patches.grid;
        let line = columns.len() * patches.c;
        let whole = self.dy.c == self.width;
        let mut scratch = Scratch::new(line + if whole { 0 } else { count * self.width });
        let a = scratch.at();
        // SAFETY: `WeightGradient::run` checked the sizes; the scratch memory has room for a row of the input and one of `dy`, and the
        // sums belong to this task.
        unsafe {
            let b = a.add(line);
            zero::<S>(self.sums, patches.len() * self.width);
            for row in self.range.start * rows..self.range.end * rows {
                let (n, i) = (row / rows, row % rows);
                let dy = self.dy.at.add(row * count * self.dy.pitch);
                let dy = if whole { Rows { at: dy, apart: self.dy.pitch } } else { self.filled::<S>(dy, b) };
                let mut sums = self.sums;
                for run in &patches.runs {
                    let y = (i * patches.step.0) as isize + run.dy;
                    if (0..self.x.h as isize).contains(&y) {
                        self.line::<S>(n * self.x.h + y as usize, &columns, a);
                        let taps = a.add((run.dx - columns.start) as usize * patches.c);
                        let x = Rows { at: taps, apart: patches.step.1 * patches.c };
                        outer_products::<S>((run.taps * patches.c, self.width, count), x, dy, (sums, self.width), true);
                    }
                    sums = sums.add(run.taps * patches.c * self.width);
                }
            }
        }
    }
}

impl RowGradient<'_> {
    /// Copies `columns` of input row `row` to `to`, with zeros outside the feature map.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. `row` must be in bounds of `x`, and `to` must be valid for writes of all `columns`.
    #[inline(always)]
    unsafe fn line<S: Simd>(&self, row: usize, columns: &Range<isize>, to: *mut f32) {
        let (x, c) = (self.x, self.patches.c);
        let inside = columns.start.clamp(0, x.w as isize)..columns.end.clamp(0, x.w as isize);
        // SAFETY: guaranteed by the caller; columns inside the map are copied, and the others are zeros.
        unsafe {
            let before = (inside.start - columns.start) as usize * c;
            zero::<S>(to, before.min(columns.len() * c));
            let from = x.at.add((row * x.w + inside.start as usize) * x.pitch);
            let to = to.add(before);
            if x.pitch == c {
                copy::<S>(from, to, inside.len() * c);
            } else {
                for i in 0..inside.len() {
                    copy::<S>(from.add(i * x.pitch), to.add(i * c), c);
                }
            }
            zero::<S>(to.add(inside.len() * c), (columns.end - inside.end) as usize * c);
        }
    }

    /// Copies a row of `dy` to `to`, padding each pixel with zeros to whole vectors.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. `dy` must be valid for reads of a row, and `to` for writes of the padded row.
    #[inline(always)]
    unsafe fn filled<S: Simd>(&self, dy: *const f32, to: *mut f32) -> Rows {
        let o = self.dy.c;
        for i in 0..self.patches.grid.1 {
            // SAFETY: guaranteed by the caller.
            unsafe {
                let to = to.add(i * self.width);
                copy::<S>(dy.add(i * self.dy.pitch), to, o);
                zero::<S>(to.add(o), self.width - o);
            }
        }
        Rows { at: to, apart: self.width }
    }
}
