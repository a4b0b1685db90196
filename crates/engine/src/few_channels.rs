//! Convolutions with few output channels, such as the gradient with respect to a picture. They are vectorized over input channels
//! instead of output channels.

use crate::buffer::Buffer;
use crate::im2col::Patches;
use crate::map::{Map, MapMut};
use crate::simd::{self, Simd, Task};
use crate::thread_team;
use crate::tile::{Epilogue, Exit, dot_products, finish};
use std::sync::Arc;

/// Maximum number of output channels.
pub(crate) const MOST: usize = 4;

/// Weights of a convolution with few output channels. Each phase of the stride has one row of weights per output channel, as
/// long as a patch.
#[derive(Debug)]
pub(crate) struct FewChannels {
    parts: Vec<(Patches, Arc<Buffer>)>,
    o: usize,
}

/// A run of elements that are contiguous both in the feature map and in the weights.
#[derive(Clone, Copy)]
struct Segment {
    dy: isize,
    dx: isize,
    taps: usize,
    /// Offset of the segment's weights in a row.
    at: usize,
}

impl FewChannels {
    /// Whether vectorizing over the `c` input channels is faster than over the `o` output channels.
    pub fn pays(c: usize, o: usize) -> bool {
        (1..=MOST).contains(&o) && c >= 8
    }

    /// Packs the weights of the given phases. Each phase has a function that returns the weight for an index within the patch
    /// and an output channel.
    pub fn new(o: usize, parts: impl Iterator<Item = (Patches, impl Fn(usize, usize) -> f32)>) -> Self {
        let pack = |(patches, of): (Patches, _)| {
            let of: &dyn Fn(usize, usize) -> f32 = &of;
            let k = patches.len();
            let mut rows = Buffer::zeros(k * o);
            rows.numbers_mut()[..k * o].iter_mut().enumerate().for_each(|(i, v)| *v = of(i % k, i / k));
            (patches, Arc::new(rows))
        };
        Self { parts: parts.map(pack).collect(), o }
    }

    /// Appends the phases of `other`.
    pub fn extend(&mut self, other: Self) {
        self.parts.extend(other.parts);
    }

    /// The same weights, with `fit` applied to the patches of each phase.
    pub fn fitted(&self, fit: impl Fn(&Patches) -> Patches) -> Self {
        Self { parts: self.parts.iter().map(|(p, w)| (fit(p), w.clone())).collect(), o: self.o }
    }

    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, w)| size_of_val(w.numbers())).sum()
    }

    pub fn run(&self, x: &Map, y: &MapMut, epilogue: Epilogue) {
        let parts: Vec<_> = self.parts.iter().map(|(p, w)| (p, w, segments(p, x))).collect();
        // All phases of a row are computed in succession, while their input is in the cache.
        let rows = self.parts.iter().map(|(p, _)| p.grid.0).max().unwrap_or(0);
        let work: usize = self.parts.iter().map(|(p, _)| p.grid.1 * p.len() * self.o).sum();
        thread_team::ranges(x.n * rows, 1 + (1 << 15) / work.max(1), |range| {
            simd::run(Rows { x, y, parts: &parts, o: self.o, rows, range, epilogue });
        });
    }
}

struct Rows<'a> {
    x: &'a Map<'a>,
    y: &'a MapMut<'a>,
    parts: &'a [(&'a Patches, &'a Arc<Buffer>, Vec<Segment>)],
    o: usize,
    /// Maximum number of output rows per picture over all phases.
    rows: usize,
    range: std::ops::Range<usize>,
    epilogue: Epilogue<'a>,
}

impl Task for Rows<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `Filter::run` checked the sizes, and each output row belongs to one task.
        unsafe {
            match self.o {
                1 => self.rows::<S, 8, 1>(),
                2 if S::LANES >= 16 => self.rows::<S, 8, 2>(),
                2 => self.rows::<S, 5, 2>(),
                3 if S::LANES >= 16 => self.rows::<S, 8, 3>(),
                3 => self.rows::<S, 4, 3>(),
                _ if S::LANES >= 16 => self.rows::<S, 6, 4>(),
                _ => self.rows::<S, 3, 4>(),
            }
        }
    }
}

impl Rows<'_> {
    /// Computes the rows of all phases for `O` output channels, `R` pixels at a time.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`, and `O` must be the number of output channels.
    #[inline(always)]
    unsafe fn rows<S: Simd, const R: usize, const O: usize>(&self) {
        // SAFETY: rows past the end of a phase's grid are skipped.
        unsafe {
            let mut inside = vec![];
            for row in self.range.start..self.range.end {
                for (p, w, segments) in self.parts {
                    if row % self.rows < p.grid.0 {
                        self.row::<S, R, O>((p, w, segments), &mut inside, (row / self.rows, row % self.rows));
                    }
                }
            }
        }
    }

    /// Computes one output row of `O` channels, `R` pixels at a time.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. `O` must be the number of output channels. Row `i` of picture `n` must be in bounds of
    /// the grid of `p`, and no other thread may access it.
    #[inline(always)]
    unsafe fn row<S: Simd, const R: usize, const O: usize>(
        &self,
        (p, w, all): (&Patches, &Buffer, &[Segment]),
        inside: &mut Vec<Segment>,
        (n, i): (usize, usize),
    ) {
        // SAFETY: in columns `first..end`, away from the border, every segment is inside the map; at the border, taps
        // outside the map are skipped.
        unsafe {
            let x = self.x;
            // The columns in which every segment lies inside its row.
            let (mut low, mut high) = (0, x.w as isize);
            let top = (i * p.step.0) as isize;
            inside.clear();
            for s in all {
                low = low.max(-s.dx);
                high = high.min(x.w as isize - s.dx - s.taps as isize);
                if (0..x.h as isize).contains(&(top + s.dy)) {
                    inside.push(*s);
                }
            }
            let first = (low as usize).div_ceil(p.step.1).min(p.grid.1);
            let end = if high < 0 { first } else { (high as usize / p.step.1 + 1).clamp(first, p.grid.1) };
            let line = x.at.wrapping_add(n * x.h * x.w * x.pitch).wrapping_offset(top * (x.w * x.pitch) as isize);
            let mut j = 0;
            while j < p.grid.1 {
                if j >= first && j + R <= end {
                    self.pixels::<S, R, O>((p, w, inside), line, (n, i, j), false);
                    j += R;
                } else {
                    self.pixels::<S, 1, O>((p, w, inside), line, (n, i, j), j < first || j >= end);
                    j += 1;
                }
            }
        }
    }

    /// Computes `R` pixels starting at `place`. With `border`, taps outside the feature map are skipped.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`, and `O` must be the number of output channels. The `R` pixels starting at `place` must
    /// be in bounds of the grid, and no other thread may access them. For these pixels, all `segments` must be in bounds of the map's rows
    /// and, unless `border` is set, of its columns.
    #[inline(always)]
    unsafe fn pixels<S: Simd, const R: usize, const O: usize>(
        &self,
        (p, weights, segments): (&Patches, &Buffer, &[Segment]),
        line: *const f32,
        place: (usize, usize, usize),
        border: bool,
    ) {
        const { assert!(O <= MOST) };
        // SAFETY: the caller guarantees that these pixels are in bounds; `numbers` has the `O` elements that are loaded.
        unsafe {
            let column = (place.2 * p.step.1) as isize;
            let sums = sums::<S, R, O>(self.x, (p, weights.at(), segments), line, column, border);
            let exit = Exit { epilogue: self.epilogue, more: false, last: true };
            for r in 0..R {
                let mut numbers = [0f32; MOST];
                for o in 0..O {
                    numbers[o] = S::sum(sums[r][o]);
                }
                let pixel = p.pixel((place.0, place.1, place.2 + r));
                let v = S::load_part(numbers.as_ptr(), O);
                finish::<S>(v, self.y.at.add(pixel * self.y.pitch), pixel, 0, O, &exit);
            }
        }
    }
}

/// Computes the sums of `R` pixels for `O` output channels.
///
/// # Safety
/// The CPU must support the instruction set `S`. For each of the `R` pixels, all `segments` must be in bounds of the map's rows and, unless
/// `border` is set, of its columns. `weights` must be valid for reads of `O` rows of `p.len()` elements.
#[inline(always)]
unsafe fn sums<S: Simd, const R: usize, const O: usize>(
    x: &Map,
    (p, weights, segments): (&Patches, *const f32, &[Segment]),
    line: *const f32,
    column: isize,
    border: bool,
) -> [[S::V; O]; R] {
    // SAFETY: at the border, `skip` and `taps` exclude taps outside the row.
    unsafe {
        let mut sums = [[S::splat(0.0); O]; R];
        for s in segments {
            let left = column + s.dx;
            let (mut skip, mut taps) = (0, s.taps);
            if border {
                skip = (-left).clamp(0, s.taps as isize) as usize;
                taps = ((x.w as isize - left).clamp(0, s.taps as isize) as usize).saturating_sub(skip);
            }
            let pixel = s.dy * x.w as isize + left + skip as isize;
            let from = line.wrapping_offset(pixel * x.pitch as isize);
            let w = weights.wrapping_add(s.at + skip * p.c);
            sums = dot_products::<S, R, O>(sums, (from, p.step.1 * x.pitch), (w, p.len()), taps * p.c);
        }
        sums
    }
}

/// The contiguous segments of a patch: runs of taps, or single taps if other channels lie between them in memory.
fn segments(patches: &Patches, x: &Map) -> Vec<Segment> {
    let c = patches.c;
    let mut at = 0;
    let mut segments = vec![];
    for run in &patches.runs {
        let (count, taps) = if x.pitch == c { (1, run.taps) } else { (run.taps, 1) };
        for t in 0..count {
            segments.push(Segment { dy: run.dy, dx: run.dx + t as isize, taps, at });
            at += taps * c;
        }
    }
    segments
}
