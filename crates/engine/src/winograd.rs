//! Winograd convolutions with stride 1 (Winograd 1980; Lavin & Gray 2015, arXiv:1509.09308): F(4x4, 3x3), F(2x2, 3x3) on small
//! feature maps, and F(2x2, 5x5). The elements of a transformed tile are called frequencies, as with an FFT.

use crate::buffer::{Scratch, odd_lines};
use crate::conv::Algorithm;
use crate::im2col::CHUNK;
use crate::map::{Map, MapMut};
use crate::packed::{Packed, SharedPtr};
use crate::patch::Patch;
use crate::simd::{Simd, Task, run_with};
use crate::thread_team;
use crate::tile::{Epilogue, Exit, Prefetch, finish_row, multiply, with_rows};
use crate::weight_view::WeightView;
use crate::winograd_weights::{P, Q, winograd_weights};
use std::sync::Arc;

/// A Winograd convolution. A tile has `size` output rows and columns, computed from `side` input rows and columns.
#[derive(Debug)]
pub(crate) struct Winograd {
    size: usize,
    side: usize,
    c: usize,
    o: usize,
    padding: (usize, usize),
    from: (usize, usize),
    tiles: (usize, usize),
    /// The transformed weights, with one group for each frequency of a tile.
    weights: Arc<Packed>,
}

impl Winograd {
    /// Whether Winograd transforms are faster than direct convolution for `c` input channels, `o` output channels and an output
    /// size of `h × w`.
    pub fn pays(c: usize, o: usize, (h, w): (usize, usize)) -> bool {
        c >= 16 && o >= 16 && h >= 6 && w >= 6
    }

    /// Transforms the weights of a 3x3 or 5x5 kernel whose taps have the offsets `taps`.
    pub fn new(
        (c, o): (usize, usize),
        taps: &[usize],
        padding: (usize, usize),
        (from, to, algorithm): ((usize, usize), (usize, usize), Algorithm),
        w: WeightView,
    ) -> Self {
        // Larger tiles have more than twice as many weights. For a few small maps, reading them costs more than the arithmetic
        // saved.
        let large = match to.0.min(to.1) {
            16.. => true,
            8.. => c * o <= 1 << 14 || algorithm == Algorithm::LargeBatch,
            _ => algorithm == Algorithm::LargeBatch,
        };
        let size = if large && taps.len() == 9 { 4 } else { 2 };
        let side = size + taps.len().isqrt() - 1;
        let weights = winograd_weights(side, taps, (c, o), w);
        let tiles = (to.0.div_ceil(size), to.1.div_ceil(size));
        Self { size, side, c, o, padding, from, tiles, weights: Arc::new(weights) }
    }

    /// A convolution with the same weights for feature maps of another size, with the padding reduced by `less`.
    pub fn fitted(&self, from: (usize, usize), to: (usize, usize), less: (usize, usize)) -> Self {
        let tiles = (to.0.div_ceil(self.size), to.1.div_ceil(self.size));
        Self {
            padding: (self.padding.0 - less.0, self.padding.1 - less.1),
            from,
            tiles,
            weights: self.weights.clone(),
            ..*self
        }
    }

    /// Whether larger tiles are available, which need less arithmetic but have more weights.
    pub fn has_more(&self) -> bool {
        self.side < 6
    }

    pub fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    fn chunks(&self) -> usize {
        self.c.div_ceil(CHUNK)
    }

    /// Stride between the rows of two tiles in the transformed input: roughly the number of channels in a chunk, but not a large
    /// power of two.
    fn row(&self) -> usize {
        match self.c {
            ..=48 => self.c.next_multiple_of(16),
            c => c.min(CHUNK).next_multiple_of(16) + 16,
        }
    }

    fn frequencies(&self) -> usize {
        self.side * self.side
    }

    pub fn run(&self, x: &Map, y: &MapMut, epilogue: Epilogue) {
        assert!((x.h, x.w) == self.from, "the weights are packed for feature maps of a different size");
        let tiles = x.n * self.tiles.0 * self.tiles.1;
        let threads = thread_team::size();
        let most = self.most_tiles(tiles / threads);
        let blocks = tiles.div_ceil(most).next_multiple_of(threads);
        let few = blocks <= threads && threads > 1;
        if few || tiles <= most {
            return self.in_stages(x, y, epilogue, tiles, threads);
        }
        thread_team::run(blocks, |i| {
            let range = thread_team::part(tiles, i, blocks);
            let count = range.len();
            let mut scratch = Scratch::new(self.room(count));
            let v = scratch.at();
            // SAFETY: `room` includes the products, which follow the transformed input in memory.
            let m = unsafe { v.add(self.v(count)) };
            let stage = |step| Stage { w: self, x, y, v, m, count, start: range.start, step, epilogue };
            run_with(self.weights.level, stage(Step::In(0..count)));
            run_with(self.weights.level, stage(Step::Multiply(0..self.frequencies(), 0..self.weights.panels())));
            run_with(self.weights.level, stage(Step::Out(0..count)));
        });
    }

    /// Maximum number of tiles per block, if each thread computes `own` tiles. Weights that exceed the caches are read once for many tiles.
    /// Small weight matrices leave room in the caches for the tiles; small blocks then help to balance a small workload.
    fn most_tiles(&self, own: usize) -> usize {
        match (self.c * self.o, own) {
            (..=0x2000, ..400) => 24,
            (..=0x400, _) => 72,
            _ => 48,
        }
    }

    /// Computes a small number of tiles. The threads share the work of each stage, so each weight is read by only one thread.
    fn in_stages(&self, x: &Map, y: &MapMut, epilogue: Epilogue, tiles: usize, threads: usize) {
        if tiles == 0 {
            return;
        }
        let mut scratch = Scratch::new(self.room(tiles));
        let v = scratch.at();
        // SAFETY: `room` includes the products, which follow the transformed input in memory.
        let (v, m) = (SharedPtr(v), SharedPtr(unsafe { v.add(self.v(tiles)) }));
        let stage = |step| {
            let stage = Stage { w: self, x, y, v: v.get(), m: m.get(), count: tiles, start: 0, step, epilogue };
            run_with(self.weights.level, stage);
        };
        let parts = tiles.min(4 * threads);
        let part = |i: usize| thread_team::part(tiles, i, parts);
        thread_team::run(parts, |i| stage(Step::In(part(i))));
        thread_team::run(self.frequencies(), |f| stage(Step::Multiply(f..f + 1, 0..self.weights.panels())));
        thread_team::run(parts, |i| stage(Step::Out(part(i))));
    }

    /// Number of elements in the transformed input of `tiles` tiles, ordered by frequency, chunk of channels, tile and row.
    fn v(&self, tiles: usize) -> usize {
        self.frequencies() * self.v_apart(tiles)
    }

    /// Stride between frequencies in the transformed input of `tiles` tiles.
    fn v_apart(&self, tiles: usize) -> usize {
        odd_lines(self.chunks() * tiles * self.row())
    }

    /// Stride between frequencies in the products of `tiles` tiles.
    fn m_apart(&self, tiles: usize) -> usize {
        odd_lines(tiles * self.width())
    }

    /// Stride between the products of adjacent tiles, in elements.
    fn width(&self) -> usize {
        self.o.next_multiple_of(16)
    }

    /// Number of elements in the transformed input and the products of `tiles` tiles.
    fn room(&self, tiles: usize) -> usize {
        self.v(tiles) + self.frequencies() * self.m_apart(tiles)
    }
}

enum Step {
    In(std::ops::Range<usize>),
    Multiply(std::ops::Range<usize>, std::ops::Range<usize>),
    Out(std::ops::Range<usize>),
}

/// A task that runs one of the three steps of the convolution for some of the `count` tiles starting at tile `start`.
struct Stage<'a> {
    w: &'a Winograd,
    x: &'a Map<'a>,
    y: &'a MapMut<'a>,
    v: *mut f32,
    m: *mut f32,
    count: usize,
    start: usize,
    step: Step,
    epilogue: Epilogue<'a>,
}

impl Task for Stage<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `v` and `m` have room for `count` tiles; `Winograd::run` checked the map, and `Filter::run` the output; each
        // tile or frequency of a step belongs to one task.
        unsafe {
            let six = self.w.side == 6;
            match &self.step {
                Step::In(tiles) => {
                    for t in tiles.start..tiles.end {
                        if six { self.read::<S, 6>(t) } else { self.read::<S, 4>(t) }
                    }
                }
                Step::Multiply(frequencies, panels) => {
                    for f in frequencies.start..frequencies.end {
                        self.multiply::<S>(f, panels.clone());
                    }
                }
                Step::Out(tiles) => {
                    for t in tiles.start..tiles.end {
                        match (self.w.size, six, self.epilogue.is_plain()) {
                            (4, _, true) => self.write::<S, 4, 6, true>(t),
                            (4, _, false) => self.write::<S, 4, 6, false>(t),
                            (_, true, true) => self.write::<S, 2, 6, true>(t),
                            (_, true, false) => self.write::<S, 2, 6, false>(t),
                            (_, false, true) => self.write::<S, 2, 4, true>(t),
                            (_, false, false) => self.write::<S, 2, 4, false>(t),
                        }
                    }
                }
            }
        }
    }
}

impl Stage<'_> {
    /// Picture, row and column of the first output pixel of a tile.
    #[inline(always)]
    fn place(&self, t: usize) -> (usize, usize, usize) {
        let (t, (rows, columns)) = (self.start + t, self.w.tiles);
        (t / (rows * columns), t / columns % rows * self.w.size, t % columns * self.w.size)
    }

    /// Computes the input transform `Bᵀ d B` of one tile.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. `A` must be the side of a tile. `t` must be less than `count`, and no other thread may
    /// access the transformed rows of this tile.
    #[inline(always)]
    unsafe fn read<S: Simd, const A: usize>(&self, t: usize) {
        let (n, row, column) = self.place(t);
        let patch = Patch::new(self.x, n, (row, column), self.w.padding);
        // SAFETY: guaranteed by the caller.
        unsafe {
            if patch.is_whole() {
                self.transform::<S, A, true>(t, &patch);
            } else {
                self.transform::<S, A, false>(t, &patch);
            }
        }
    }

    /// Transforms a patch into the rows of tile `t`.
    ///
    /// # Safety
    /// Same as for [`read`](Self::read); if `WHOLE`, the patch must be completely inside the map.
    #[inline(always)]
    unsafe fn transform<S: Simd, const A: usize, const WHOLE: bool>(&self, t: usize, patch: &Patch<A>) {
        // SAFETY: `v` has a row for each frequency, chunk and tile.
        unsafe {
            let w = self.w;
            let mut c = 0;
            while c < w.c {
                let to = self.v.add((c / CHUNK * self.count + t) * w.row() + c % CHUNK);
                let apart = w.v_apart(self.count);
                let mut half = [[S::splat(0.0); A]; A];
                for j in 0..A {
                    let d = input::<S, A>(patch.column::<S, WHOLE>(j, c, w.c - c));
                    for i in 0..A {
                        half[i][j] = d[i];
                    }
                }
                for i in 0..A {
                    let d = input::<S, A>(half[i]);
                    for j in 0..A {
                        S::store(to.add((i * A + j) * apart), d[j]);
                    }
                }
                c += S::LANES;
            }
        }
    }

    /// Multiplies all tiles by the weights of one frequency.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. `f` must be the index of a frequency, and `panels` must be in bounds of the weights.
    /// No other thread may access the products of this frequency and these panels.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(&self, f: usize, panels: std::ops::Range<usize>) {
        // SAFETY: the parts partition the tiles, and the chunks partition the channels.
        unsafe {
            let w = self.w;
            for b in panels {
                let width = w.weights.width(b);
                let limit = if width > S::LANES { S::ROWS } else { 12 };
                let parts = self.count.div_ceil(limit);
                for chunk in 0..w.chunks() {
                    let k = (chunk * CHUNK, ((chunk + 1) * CHUNK).min(w.c));
                    for p in 0..parts {
                        let (start, end) = (p * self.count / parts, (p + 1) * self.count / parts);
                        let panel = w.weights.row(f, b, k.0);
                        let prefetch = Prefetch::after(panel, (k.1 - k.0, width), (p, parts));
                        let at = (f, chunk, b, start, k.1 - k.0);
                        if width > S::LANES {
                            with_rows!(end - start, S, S::ROWS, product::<2>(self, at, (panel, prefetch)));
                        } else {
                            with_rows!(end - start, S, 12, product::<1>(self, at, (panel, prefetch)));
                        }
                    }
                }
            }
        }
    }

    /// Computes the output transform `Aᵀ m A` of one tile.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. `M` must be the size of a tile, and `A` its side. `t` must be less than `count`, and
    /// no other thread may access the output pixels of this tile.
    #[inline(always)]
    unsafe fn write<S: Simd, const M: usize, const A: usize, const PLAIN: bool>(&self, t: usize) {
        // SAFETY: pixels past the edge of the map are skipped, and `m` has `width` elements for each frequency and tile.
        unsafe {
            let (w, y) = (self.w, self.y);
            let (n, row, column) = self.place(t);
            let (rows, columns) = ((y.h - row).min(M), (y.w - column).min(M));
            let exit = Exit { epilogue: self.epilogue, more: false, last: true };
            let apart = w.m_apart(self.count);
            let mut c = 0;
            while c < w.o {
                let from = self.m.add(t * w.width() + c);
                let mut half = [[S::splat(0.0); A]; M];
                for j in 0..A {
                    let mut d = [S::splat(0.0); A];
                    for i in 0..A {
                        d[i] = S::load(from.add((i * A + j) * apart));
                    }
                    let d = output::<S, M, A>(d);
                    for i in 0..M {
                        half[i][j] = d[i];
                    }
                }
                for i in 0..rows {
                    let d = output::<S, M, A>(half[i]);
                    let first = (n * y.h + row + i) * y.w + column;
                    if columns == M {
                        finish_row::<S, PLAIN, M>(
                            d,
                            (y.at.add(first * y.pitch + c), y.pitch),
                            first,
                            c,
                            w.o - c,
                            &exit,
                        );
                        continue;
                    }
                    for j in 0..columns {
                        let pixel = first + j;
                        let to = (y.at.add(pixel * y.pitch + c), y.pitch);
                        finish_row::<S, PLAIN, 1>([d[j]], to, pixel, c, w.o - c, &exit);
                    }
                }
                c += S::LANES;
            }
        }
    }
}

/// Multiplies `M` tiles by a panel of the weights of one frequency.
///
/// # Safety
/// The CPU must support the instruction set `S`. Tiles `start..start + M` must be in bounds, no other thread may access their products with
/// this panel, and `panel` must be valid for reads of `count` rows of `V` vectors.
#[inline(always)]
unsafe fn product<S: Simd, const M: usize, const V: usize>(
    stage: &Stage,
    (f, chunk, b, start, count): (usize, usize, usize, usize, usize),
    (panel, prefetch): (*const f32, Prefetch),
) {
    // SAFETY: `v` and `m` have rows for these tiles.
    unsafe {
        let w = stage.w;
        let a = stage.v.add(f * w.v_apart(stage.count) + (chunk * stage.count + start) * w.row());
        let sums = multiply::<S, M, V, false>(count, (a, w.row(), 1), (panel, V * S::LANES), prefetch);
        let to = stage.m.add(f * w.m_apart(stage.count) + start * w.width() + b * 2 * S::LANES);
        for m in 0..M {
            for j in 0..V {
                let to = to.add(m * w.width() + j * S::LANES);
                S::store(to, if chunk > 0 { S::add(S::load(to), sums[m][j]) } else { sums[m][j] });
            }
        }
    }
}

/// Multiplies a column by the matrix `Bᵀ` of the input transform.
///
/// # Safety
/// The CPU must support the instruction set `S`.
#[inline(always)]
pub(crate) unsafe fn input<S: Simd, const A: usize>(d: [S::V; A]) -> [S::V; A] {
    // SAFETY: `d` exists, so the CPU supports the instruction set.
    unsafe {
        let mut out = d;
        if A == 4 {
            out[0] = S::sub(d[0], d[2]);
            out[1] = S::add(d[1], d[2]);
            out[2] = S::sub(d[2], d[1]);
            out[3] = S::sub(d[1], d[3]);
        } else {
            let (p, q) = (S::splat(P as f32), S::splat(Q as f32));
            let (minus_pp, minus_qq) = (S::splat(-(P * P) as f32), S::splat(-(Q * Q) as f32));
            let minus_both = S::splat(-(P * P + Q * Q) as f32);
            let (even, odd) = (S::fma(minus_qq, d[2], d[4]), S::sub(S::mul(p, d[3]), S::mul(q, d[1])));
            out[0] = S::add(d[0], S::fma(minus_both, d[2], d[4]));
            out[1] = S::add(even, odd);
            out[2] = S::sub(even, odd);
            let (even, odd) = (S::fma(minus_pp, d[2], d[4]), S::sub(S::mul(q, d[3]), S::mul(p, d[1])));
            out[3] = S::add(even, odd);
            out[4] = S::sub(even, odd);
            out[5] = S::add(d[1], S::fma(minus_both, d[3], d[5]));
        }
        out
    }
}

/// Multiplies a column by the matrix `Aᵀ` of the output transform.
///
/// # Safety
/// The CPU must support the instruction set `S`.
#[inline(always)]
unsafe fn output<S: Simd, const M: usize, const A: usize>(d: [S::V; A]) -> [S::V; M] {
    // SAFETY: `d` exists, so the CPU supports the instruction set.
    unsafe {
        let mut out = [S::splat(0.0); M];
        if A == 4 {
            out[0] = S::add(S::add(d[0], d[1]), d[2]);
            out[1] = S::sub(S::sub(d[1], d[2]), d[3]);
        } else {
            let (p, q) = (S::splat(P as f32), S::splat(Q as f32));
            let (pp, qq) = (S::splat((P * P) as f32), S::splat((Q * Q) as f32));
            let (ppp, qqq) = (S::splat((P * P * P) as f32), S::splat((Q * Q * Q) as f32));
            let (a, b) = (S::add(d[1], d[2]), S::sub(d[1], d[2]));
            let (e, f) = (S::add(d[3], d[4]), S::sub(d[3], d[4]));
            out[0] = S::add(S::add(d[0], a), e);
            out[1] = S::fma(q, f, S::mul(p, b));
            if M == 4 {
                out[2] = S::fma(qq, e, S::mul(pp, a));
                out[3] = S::fma(qqq, f, S::mul(ppp, b));
            }
            out[M - 1] = S::add(out[M - 1], d[5]);
        }
        out
    }
}

/// Multiplies a column of two or four elements by the matrix `A`, which maps the gradient of a tile's output to the gradient of
/// its products.
///
/// # Safety
/// The CPU must support the instruction set `S`.
#[inline(always)]
pub(crate) unsafe fn output_transposed<S: Simd, const M: usize>(y: [S::V; M]) -> [S::V; 6] {
    // SAFETY: `y` exists, so the CPU supports the instruction set.
    unsafe {
        let (p, q) = (S::splat(P as f32), S::splat(Q as f32));
        let (mut a, mut b, mut e, mut f) = (y[0], S::mul(p, y[1]), y[0], S::mul(q, y[1]));
        if M == 4 {
            let (pp, qq) = (S::splat((P * P) as f32), S::splat((Q * Q) as f32));
            let (ppp, qqq) = (S::splat((P * P * P) as f32), S::splat((Q * Q * Q) as f32));
            (a, b) = (S::fma(pp, y[2], a), S::fma(ppp, y[M - 1], b));
            (e, f) = (S::fma(qq, y[2], e), S::fma(qqq, y[M - 1], f));
        }
        [y[0], S::add(a, b), S::sub(a, b), S::add(e, f), S::sub(e, f), y[M - 1]]
    }
}
