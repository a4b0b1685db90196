//! im2col: the taps of each output pixel, and copies of the input patches that the taps read.

use crate::map::Map;
use crate::simd::Simd;

/// Number of elements of a patch that are multiplied at a time.
pub(crate) const CHUNK: usize = 256;
/// Stride between patches in a block. It is a constant so that the rows of a tile need only one pointer, and not a power of two
/// so that they do not evict one another from the cache.
pub(crate) const STRIDE: usize = CHUNK + 16;

/// A run of horizontally adjacent taps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TapRun {
    pub dy: isize,
    pub dx: isize,
    pub taps: usize,
}

/// The output pixels of a convolution, or of one phase of its stride, and the taps that each pixel reads.
#[derive(Clone, Debug)]
pub(crate) struct Patches {
    pub runs: Vec<TapRun>,
    /// Number of channels that a tap reads.
    pub c: usize,
    /// Number of rows and columns of output pixels.
    pub grid: (usize, usize),
    /// Input stride, in rows and columns, between the patches of adjacent output pixels.
    pub step: (usize, usize),
    /// Row and column of the first output pixel.
    pub first: (usize, usize),
    /// Output stride, in rows and columns, between adjacent pixels of the grid.
    pub apart: (usize, usize),
    /// Height and width of the output feature map.
    pub out: (usize, usize),
}

impl Patches {
    /// The same taps for outputs of height and width `to`, with the padding reduced by `less`.
    pub fn fitted(&self, less: (isize, isize), to: (usize, usize)) -> Self {
        let moved = |r: &TapRun| TapRun { dy: r.dy + less.0, dx: r.dx + less.1, taps: r.taps };
        Self { runs: self.runs.iter().map(moved).collect(), grid: to, out: to, ..self.clone() }
    }

    /// Number of elements of a patch.
    pub fn len(&self) -> usize {
        self.taps() * self.c
    }

    pub fn taps(&self) -> usize {
        self.runs.iter().map(|r| r.taps).sum()
    }

    /// Picture, row and column of pixel `i`, an index into the grids of all pictures.
    #[inline(always)]
    pub fn place(&self, i: usize) -> (usize, usize, usize) {
        let (rows, columns) = self.grid;
        (i / (rows * columns), i / columns % rows, i % columns)
    }

    /// Picture, row and column of the pixel after the given one.
    #[inline(always)]
    pub fn next(&self, (n, y, x): (usize, usize, usize)) -> (usize, usize, usize) {
        match (x + 1 < self.grid.1, y + 1 < self.grid.0) {
            (true, _) => (n, y, x + 1),
            (false, true) => (n, y + 1, 0),
            (false, false) => (n + 1, 0, 0),
        }
    }

    /// Whether each output pixel reads only the input pixel at the same position, as with 1x1 kernels and stride 1.
    pub fn is_pointwise(&self, x: &Map) -> bool {
        let one = self.runs == [TapRun { dy: 0, dx: 0, taps: 1 }] && self.step == (1, 1) && self.apart == (1, 1);
        one && self.first == (0, 0) && self.grid == self.out && self.grid == (x.h, x.w)
    }

    /// The index in the output feature maps of a pixel of the grid.
    #[inline(always)]
    pub fn pixel(&self, (n, y, x): (usize, usize, usize)) -> usize {
        let (y, x) = (y * self.apart.0 + self.first.0, x * self.apart.1 + self.first.1);
        (n * self.out.0 + y) * self.out.1 + x
    }

    /// Copies elements `from..to` of a pixel's patch to `out`, with zeros outside the feature map.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. `place` must be in bounds of the grid and of the pictures of `x`, and `x` must have
    /// channels `channel..channel + self.c`. `out` must be valid for writes of `to - from` elements.
    #[inline(always)]
    pub unsafe fn gather<S: Simd>(
        &self,
        x: &Map,
        channel: usize,
        place: (usize, usize, usize),
        (from, to): (usize, usize),
        out: *mut f32,
    ) {
        // SAFETY: rows outside the map are zeroed, and columns are clamped to it; exactly `e - s` elements of each run are
        // written.
        unsafe {
            let (n, row, column) = place;
            let (row, column) = ((row * self.step.0) as isize, (column * self.step.1) as isize);
            let mut at = 0;
            for run in &self.runs {
                let start = at;
                at += run.taps * self.c;
                let (s, e) = (from.max(start), to.min(at));
                if s >= e {
                    continue;
                }
                let out = out.add(s - from);
                let y = row + run.dy;
                if y < 0 || y >= x.h as isize {
                    zero::<S>(out, e - s);
                    continue;
                }
                let line = x.at.offset(((n * x.h) as isize + y) * (x.w * x.pitch) as isize).add(channel);
                let left = column + run.dx;
                if x.pitch == self.c {
                    // The elements of the run that lie inside the row.
                    let low = (-left).clamp(0, run.taps as isize) as usize * self.c;
                    let high = (x.w as isize - left).clamp(0, run.taps as isize) as usize * self.c;
                    let low = low.clamp(s - start, e - start);
                    let high = high.clamp(low, e - start);
                    zero::<S>(out, low - (s - start));
                    let out = out.add(low - (s - start));
                    copy::<S>(line.wrapping_offset(left * x.pitch as isize).wrapping_add(low), out, high - low);
                    zero::<S>(out.add(high - low), e - start - high);
                } else {
                    let (mut i, mut out) = (s - start, out);
                    while i < e - start {
                        let (tap, c) = (i / self.c, i % self.c);
                        let count = (self.c - c).min(e - start - i);
                        let column = left + tap as isize;
                        if column < 0 || column >= x.w as isize {
                            zero::<S>(out, count);
                        } else {
                            copy::<S>(line.offset(column * x.pitch as isize).add(c), out, count);
                        }
                        (i, out) = (i + count, out.add(count));
                    }
                }
            }
        }
    }
}

/// Writes `n` zeros to `to`.
///
/// # Safety
/// The CPU must support the instruction set `S`, and `to` must be valid for writes of `n` elements.
#[inline(always)]
pub(crate) unsafe fn zero<S: Simd>(to: *mut f32, n: usize) {
    // SAFETY: the loop stays below `n`; the last vector is stored partially.
    unsafe {
        let mut i = 0;
        while i + S::LANES <= n {
            S::store(to.add(i), S::splat(0.0));
            i += S::LANES;
        }
        if i < n {
            S::store_part(to.add(i), n - i, S::splat(0.0));
        }
    }
}

/// Copies `n` elements from `from` to `to`.
///
/// # Safety
/// The CPU must support the instruction set `S`. `from` must be valid for reads, and `to` for writes, of `n` elements. The
/// two ranges must not overlap.
#[inline(always)]
pub(crate) unsafe fn copy<S: Simd>(from: *const f32, to: *mut f32, n: usize) {
    // SAFETY: the loop stays below `n`; the last vector is loaded and stored partially.
    unsafe {
        let mut i = 0;
        while i + S::LANES <= n {
            S::store(to.add(i), S::load(from.add(i)));
            i += S::LANES;
        }
        if i < n {
            S::store_part(to.add(i), n - i, S::load_part(from.add(i), n - i));
        }
    }
}
