//! Direct convolution for layers with few weights. Each picture is copied once with zero padding, and tiles of adjacent pixels read
//! their taps from the copy.

use crate::bf16::{PairsTask, to_pairs};
use crate::buffer::Scratch;
use crate::im2col::{Patches, TapRun, copy, zero};
use crate::map::{Map, MapMut};
use crate::packed::Packed;
use crate::simd::Simd;
use crate::thread_team;
use crate::tile::{Epilogue, Exit, finish, multiply_add, with_rows};
use std::sync::Arc;

/// Maximum number of weights that fit in the cache while a band of rows is computed.
const WEIGHTS: usize = 1 << 16;
/// Target size, in elements, of the copy of a band of rows.
const BAND: usize = 1 << 15;

/// Weights of a direct convolution, packed for each phase of the stride. If they are pairs of bf16 values, the patches count pairs of
/// channels instead of channels; an odd channel is paired with 0.
#[derive(Debug)]
pub(crate) struct Direct {
    pub parts: Vec<(Patches, Arc<Packed>)>,
}

/// How far the kernel extends from a pixel in each direction.
#[derive(Clone, Copy)]
struct Reach {
    top: isize,
    bottom: isize,
    left: isize,
    right: isize,
}

impl Direct {
    /// Whether direct convolution is faster than im2col for these patches and `o` output channels.
    pub fn pays(patches: &Patches, o: usize) -> bool {
        patches.taps() > 1 && patches.len() * o <= WEIGHTS && patches.grid.1 >= 6
    }

    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, w)| w.bytes()).sum()
    }

    pub fn run(&self, x: &Map, y: &MapMut, epilogue: Epilogue) {
        for (patches, weights) in &self.parts {
            let reach = reach(patches);
            let width = patches.columns(reach) * patches.c;
            let rows = patches.grid.0;
            // A band is a whole picture unless the pictures are large or few.
            let fitting = (BAND / (width * patches.step.0).max(1)).max(4);
            let work = rows * patches.grid.1 * patches.len() * weights.o;
            let wanted = if x.n * work < 1 << 16 { 1 } else { 2 * thread_team::size() };
            let bands = rows.div_ceil(fitting).max(wanted.div_ceil(x.n.max(1))).min(rows).max(1);
            thread_team::run(x.n * bands, |i| {
                let (n, band) = (i / bands, i % bands);
                let rows = band * rows / bands..(band + 1) * rows / bands;
                weights.run(Band { x, y, patches, weights, reach, n, rows, epilogue });
            });
        }
    }
}

fn reach(patches: &Patches) -> Reach {
    let runs = || patches.runs.iter();
    Reach {
        top: runs().map(|r| r.dy).min().unwrap_or(0),
        bottom: runs().map(|r| r.dy).max().unwrap_or(0),
        left: runs().map(|r| r.dx).min().unwrap_or(0),
        right: runs().map(|r| r.dx + r.taps as isize - 1).max().unwrap_or(0),
    }
}

impl Patches {
    /// Number of input columns read by a row of output pixels.
    fn columns(&self, reach: Reach) -> usize {
        (self.grid.1 - 1) * self.step.1 + (reach.right - reach.left) as usize + 1
    }
}

/// A range of output rows of one picture.
struct Band<'a> {
    x: &'a Map<'a>,
    y: &'a MapMut<'a>,
    patches: &'a Patches,
    weights: &'a Packed,
    reach: Reach,
    n: usize,
    rows: std::ops::Range<usize>,
    epilogue: Epilogue<'a>,
}

impl PairsTask for Band<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const PAIRS: bool>(self) {
        // SAFETY: the scratch memory has `height` rows of `width` elements, which cover all elements that the taps read, according to
        // `reach`; each output row belongs to one task.
        unsafe {
            let p = self.patches;
            let width = p.columns(self.reach) * p.c;
            let height = (self.rows.len().max(1) - 1) * p.step.0 + (self.reach.bottom - self.reach.top) as usize + 1;
            let mut scratch = Scratch::new(height * width + 64);
            let a = scratch.at();
            self.fill::<S, PAIRS>(a, width, height);
            // The offset of each run of taps from the start of a pixel's patch, and the length of the run.
            let start = |r: &TapRun| {
                let (row, column) = ((r.dy - self.reach.top) as usize, (r.dx - self.reach.left) as usize);
                (row * width + column * p.c, r.taps * p.c)
            };
            let starts: Vec<_> = p.runs.iter().map(start).collect();
            for panel in 0..self.weights.panels() {
                for row in self.rows.start..self.rows.end {
                    let line = a.add((row - self.rows.start) * p.step.0 * width);
                    self.row::<S, PAIRS>((line, &starts), panel, row);
                }
            }
        }
    }
}

impl Band<'_> {
    /// Copies the input rows of the band to `a`, with zeros outside the feature map; with `PAIRS`, rounded to pairs of bf16 values.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`; with `PAIRS`, the task must run with [`run_bf16`](crate::simd::run_bf16). `a` must be
    /// valid for writes of `height` rows of `width` elements.
    #[inline(always)]
    unsafe fn fill<S: Simd, const PAIRS: bool>(&self, a: *mut f32, width: usize, height: usize) {
        // SAFETY: rows outside the map are not read, and columns are clamped to it; at most `before + inside` of the `columns`
        // columns of each row are copied, and the others are zeroed.
        unsafe {
            let (p, x) = (self.patches, self.x);
            let columns = width / p.c;
            let first = (self.rows.start * p.step.0) as isize + self.reach.top;
            let before = ((-self.reach.left).max(0) as usize).min(columns);
            let skip = self.reach.left.max(0) as usize;
            let inside = x.w.saturating_sub(skip).min(columns - before);
            for i in 0..height {
                let (to, row) = (a.add(i * width), first + i as isize);
                if row < 0 || row >= x.h as isize {
                    zero::<S>(to, width);
                    continue;
                }
                zero::<S>(to, before * p.c);
                let from = x.at.add(((self.n * x.h + row as usize) * x.w + skip) * x.pitch);
                let to = to.add(before * p.c);
                // All pixels at once, unless there is a gap after each of them or its last channel is paired with 0.
                let adjacent = x.pitch == x.c && (!PAIRS || x.c.is_multiple_of(2));
                let (pixels, count) = if adjacent { (1, inside * x.c) } else { (inside, x.c) };
                for j in 0..pixels {
                    let (from, to) = (from.add(j * x.pitch), to.add(j * p.c));
                    if PAIRS { to_pairs::<S>(from, to, count) } else { copy::<S>(from, to, count) }
                }
                zero::<S>(to.add(inside * p.c), (columns - before - inside) * p.c);
            }
        }
    }

    /// Computes one output row for one panel of weights.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`; with `PAIRS`, the task must run with [`run_bf16`](crate::simd::run_bf16). `line` must
    /// point to the first element of the copied band that output row `row` reads, and must be valid for reads of the runs `starts` of every
    /// pixel of the row. `panel` must be the index of a panel of the weights, and no other thread may access the panel's channels of the
    /// output row.
    #[inline(always)]
    unsafe fn row<S: Simd, const PAIRS: bool>(
        &self,
        (line, starts): (*const f32, &[(usize, usize)]),
        panel: usize,
        row: usize,
    ) {
        // SAFETY: the tiles partition the output row, and the caller guarantees that `panel` is in bounds.
        unsafe {
            let (p, w) = (self.patches, self.weights);
            let width = w.width(panel);
            let (rows, first) = (w.row(0, panel, 0), panel * 2 * S::LANES);
            let to = (first, (w.o - first).min(width));
            let limit = if width > S::LANES { S::ROWS } else { 12 };
            let tiles = p.grid.1.div_ceil(limit);
            for t in 0..tiles {
                let (start, end) = (t * p.grid.1 / tiles, (t + 1) * p.grid.1 / tiles);
                let a = line.add(start * p.step.1 * p.c);
                let place = (self.n, row, start);
                if width > S::LANES {
                    with_rows!(end - start, S, S::ROWS, tile::<2, PAIRS>(self, (a, starts), rows, to, place));
                } else {
                    with_rows!(end - start, S, 12, tile::<1, PAIRS>(self, (a, starts), rows, to, place));
                }
            }
        }
    }
}

/// Computes `M` adjacent pixels of `V` vectors of channels.
///
/// # Safety
/// The CPU must support the instruction set `S`; with `PAIRS`, the task must run with [`run_bf16`](crate::simd::run_bf16). `a` must point
/// to the patch of the first of `M` pixels in the copied band, and `b` to the rows of a panel that is `V` vectors wide. The `M` pixels
/// starting at `place` must be in bounds of the output and have channels `column..column + columns`, which no other thread may access.
#[inline(always)]
unsafe fn tile<S: Simd, const M: usize, const V: usize, const PAIRS: bool>(
    band: &Band,
    (a, starts): (*const f32, &[(usize, usize)]),
    b: *const f32,
    (column, columns): (usize, usize),
    place: (usize, usize, usize),
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let p = band.patches;
        let sums = sums::<S, M, V, PAIRS>(a, starts, b, p.step.1 * p.c);
        let exit = Exit { epilogue: band.epilogue, more: false, last: true };
        for m in 0..M {
            let pixel = p.pixel((place.0, place.1, place.2 + m));
            for j in 0..V {
                let c = column + j * S::LANES;
                let n = columns.saturating_sub(j * S::LANES);
                finish::<S>(sums[m][j], band.y.at.add(pixel * band.y.pitch + c), pixel, c, n, &exit);
            }
        }
    }
}

/// Computes the sums of a tile of `M` pixels and `V` vectors of channels.
///
/// # Safety
/// The CPU must support the instruction set `S`; with `PAIRS`, the task must run with [`run_bf16`](crate::simd::run_bf16). For each pixel
/// `m < M`, `a + m · apart` must be valid for reads of the runs in `starts`, each given by its offset and length. `b` must be valid for
/// reads of one row of `V` vectors per element of the runs.
#[inline(always)]
unsafe fn sums<S: Simd, const M: usize, const V: usize, const PAIRS: bool>(
    a: *const f32,
    starts: &[(usize, usize)],
    mut b: *const f32,
    apart: usize,
) -> [[S::V; V]; M] {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut sums = [[S::splat(0.0); V]; M];
        for &(start, count) in starts {
            sums = run::<S, M, V, PAIRS>(sums, a.add(start), b, count, apart);
            b = b.add(count * V * S::LANES);
        }
        sums
    }
}

/// Adds one run of taps to the sums of a tile. This is a separate function so that the sums stay in registers.
///
/// # Safety
/// The CPU must support the instruction set `S`; with `PAIRS`, the task must run with [`run_bf16`](crate::simd::run_bf16). For each pixel
/// `m < M`, `a + m · apart` must be valid for reads of `count` elements. `b` must be valid for reads of `count` rows of `V` vectors.
#[inline(always)]
unsafe fn run<S: Simd, const M: usize, const V: usize, const PAIRS: bool>(
    mut sums: [[S::V; V]; M],
    a: *const f32,
    mut b: *const f32,
    count: usize,
    apart: usize,
) -> [[S::V; V]; M] {
    const { assert!(M <= 12, "each of the four pointers serves three pixels") };
    // SAFETY: pixel `m` is `m % 3` pixels past pointer `m / 3`, which has advanced less than `count` elements.
    unsafe {
        // Each pointer serves three pixels, whose offsets fit the addressing mode.
        let mut at = [a, a.wrapping_add(3 * apart), a.wrapping_add(6 * apart), a.wrapping_add(9 * apart)];
        for _ in 0..count {
            let mut row = [S::splat(0.0); V];
            for j in 0..V {
                row[j] = S::load(b.add(j * S::LANES));
            }
            for m in 0..M {
                let v = S::splat(*at[m / 3].wrapping_add(m % 3 * apart));
                for j in 0..V {
                    sums[m][j] = multiply_add::<S, PAIRS>(v, row[j], sums[m][j]);
                }
            }
            for at in &mut at {
                *at = at.wrapping_add(1);
            }
            b = b.add(V * S::LANES);
        }
        sums
    }
}
