//! The Winograd weight gradient of a convolution, the transpose of F(4x4, 3x3) and F(2x2, 5x5): `Gᵀ [Σ (Bᵀ x B) ⊙ (A dy Aᵀ)] G`,
//! where the sum runs over all tiles (Lavin & Gray 2015, arXiv:1509.09308).

use crate::buffer::{Scratch, odd_lines};
use crate::conv::{Sizes, Slide};
use crate::map::Map;
use crate::outer_products::{Rows, outer_products};
use crate::packed::SharedPtr;
use crate::patch::Patch;
use crate::simd::{self, MOST_LANES, Simd, Task, run_with};
use crate::size::product;
use crate::thread_team;
use crate::winograd::{Winograd, input, output_transposed};
use crate::winograd_weights::g;

/// Number of input rows and columns that a tile reads.
const SIDE: usize = 6;
/// The largest kernel size.
const MOST_TAPS: usize = 5;
/// Number of frequencies of a tile.
const ALL: usize = SIDE * SIDE;
/// Number of input channels per task.
const CHUNK: usize = 64;
/// Maximum number of partial sums into which a batch is split, independent of the number of cores.
const PARTS: usize = 8;
/// Minimum number of tiles per part. With fewer tiles, writing and accumulating the sums takes too long.
const LEAST: usize = 64;
/// Maximum total number of elements in all partial sums, if there are several.
const SUMS: usize = 1 << 23;
/// Approximate number of transformed elements that stay in a core's cache.
const NEAR: usize = 1 << 17;

/// Computes the weight gradient of a convolution, `Σ dy · xᵀ` over all pixels of a batch, frequency by frequency.
pub(crate) struct WinogradGradient {
    sizes: Sizes,
    padding: (usize, usize),
    /// Kernel size, 3 or 5.
    taps: usize,
    /// Number of rows and columns of a tile's output.
    size: usize,
    tiles: (usize, usize),
}

impl WinogradGradient {
    /// Whether this algorithm supports the convolution and is faster than direct convolution.
    pub fn pays(sizes: Sizes, slide: Slide) -> bool {
        let square = matches!(slide.kernel, (3, 3) | (5, 5));
        let plain = square && slide.stride == (1, 1) && slide.dilation == (1, 1) && slide.groups == 1;
        plain && Winograd::pays(sizes.input, sizes.output, sizes.to)
    }

    pub fn new(sizes: Sizes, slide: Slide) -> Self {
        let taps = slide.kernel.0;
        let size = SIDE + 1 - taps;
        let tiles = (sizes.to.0.div_ceil(size), sizes.to.1.div_ceil(size));
        Self { sizes, padding: slide.padding, taps, size, tiles }
    }

    /// Writes the weight gradient to `dw`, `(O, C, k, k)`. The feature maps must have the sizes of the convolution.
    pub fn run(&self, dy: &Map, x: &Map, dw: &mut [f32]) {
        let Sizes { input: c, output: o, .. } = self.sizes;
        let level = simd::level();
        let width = o.next_multiple_of(level.lanes());
        let numbers = product([ALL, c, width]);
        let enough = x.n * self.tiles.0 * self.tiles.1 / LEAST;
        let parts = PARTS.min(x.n).min(SUMS / numbers).min(enough).max(1);
        let chunks = c.div_ceil(CHUNK);
        let mut sums = Scratch::new(product([parts, numbers]));
        let sums = SharedPtr(sums.at());
        thread_team::run(parts * chunks, |i| {
            let (part, chunk) = (i / chunks, i % chunks);
            let range = thread_team::part(x.n, part, parts);
            let channels = chunk * CHUNK..((chunk + 1) * CHUNK).min(c);
            // SAFETY: these channels of each part belong to one task.
            let sums = unsafe { sums.get().add(part * numbers + channels.start * ALL * width) };
            run_with(level, Part { of: self, dy, x, range, channels, sums, width });
        });
        let taps = self.taps;
        let g: [[f32; MOST_TAPS]; SIDE] =
            std::array::from_fn(|i| std::array::from_fn(|tap| g(SIDE, i, tap.min(taps - 1), taps) as f32));
        let dw = SharedPtr(dw.as_mut_ptr());
        thread_team::run(c, |channel| {
            run_with(level, Taps { of: self, g: &g, sums: sums.get(), parts, channel, width, dw: dw.get() });
        });
    }
}

/// A task that adds the partial sums of one input channel and transforms the result into the channel's weight gradient.
struct Taps<'a> {
    of: &'a WinogradGradient,
    g: &'a [[f32; MOST_TAPS]; SIDE],
    sums: *const f32,
    parts: usize,
    channel: usize,
    width: usize,
    dw: *mut f32,
}

impl Task for Taps<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `WinogradGradient::run` allocated sums for all parts and channels, and each input channel belongs to one task.
        unsafe { if self.of.taps == 3 { self.transform::<S, 3>() } else { self.transform::<S, 5>() } }
    }
}

impl Taps<'_> {
    /// Transforms the sums into the gradients of `K × K` weights.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. Each part must have `width` sums for each frequency and input channel, where `width`
    /// is a multiple of the vector length. No other thread may access the gradients of this input channel.
    #[inline(always)]
    unsafe fn transform<S: Simd, const K: usize>(&self) {
        let Sizes { input, output, .. } = self.of.sizes;
        let apart = ALL * input * self.width;
        let mut out = [0f32; MOST_TAPS * MOST_TAPS * MOST_LANES];
        for o in (0..output).step_by(S::LANES) {
            // SAFETY: guaranteed by the caller.
            unsafe {
                let mut half = [[S::splat(0.0); SIDE]; K];
                for f in 0..ALL {
                    let at = self.sums.add((self.channel * ALL + f) * self.width + o);
                    let mut sum = S::load(at);
                    for part in 1..self.parts {
                        sum = S::add(sum, S::load(at.add(part * apart)));
                    }
                    for y in 0..K {
                        half[y][f % SIDE] = S::fma(S::splat(self.g[f / SIDE][y]), sum, half[y][f % SIDE]);
                    }
                }
                for y in 0..K {
                    for x in 0..K {
                        let mut sum = S::splat(0.0);
                        for j in 0..SIDE {
                            sum = S::fma(S::splat(self.g[j][x]), half[y][j], sum);
                        }
                        S::store(out.as_mut_ptr().add((y * K + x) * MOST_LANES), sum);
                    }
                }
                for lane in 0..S::LANES.min(output - o) {
                    let to = self.dw.add(((o + lane) * input + self.channel) * K * K);
                    for tap in 0..K * K {
                        *to.add(tap) = out[tap * MOST_LANES + lane];
                    }
                }
            }
        }
    }
}

/// A task that computes the sums of some input channels for some pictures.
struct Part<'a> {
    of: &'a WinogradGradient,
    dy: &'a Map<'a>,
    x: &'a Map<'a>,
    range: std::ops::Range<usize>,
    channels: std::ops::Range<usize>,
    /// The sums of the first channel. Each channel has a row of output channels per frequency.
    sums: *mut f32,
    width: usize,
}

/// Transformed tiles. Each frequency has a row of `x` and a row of `dy` for each of `count` tiles.
#[derive(Clone, Copy)]
struct Tiles {
    x: *mut f32,
    dy: *mut f32,
    count: usize,
    /// Stride between rows of `x`, in elements.
    apart: usize,
    /// Stride between frequencies in `x`.
    x_apart: usize,
    /// Stride between frequencies in `dy`.
    dy_apart: usize,
}

impl Task for Part<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (rows, columns) = self.of.tiles;
        let (start, end) = (self.range.start * rows * columns, self.range.end * rows * columns);
        let apart = self.channels.len().next_multiple_of(S::LANES);
        let most = (NEAR / (ALL * (apart + self.width))).clamp(16, 96);
        let (x_apart, dy_apart) = (odd_lines(most * apart), odd_lines(most * self.width));
        let blocks = (end - start).div_ceil(most);
        let mut scratch = Scratch::new(ALL * (x_apart + dy_apart));
        let x = scratch.at();
        for block in 0..blocks {
            let own = thread_team::part(end - start, block, blocks);
            let (first, last) = (start + own.start, start + own.end);
            // SAFETY: the scratch memory has rows for `most` tiles; `WeightGradient::run` checked the maps, and these channels of
            // the sums belong to this task.
            unsafe {
                let tiles = Tiles { x, dy: x.add(ALL * x_apart), count: last - first, apart, x_apart, dy_apart };
                for t in first..last {
                    if self.of.size == 4 {
                        self.read::<S, 4>(t, t - first, tiles);
                    } else {
                        self.read::<S, 2>(t, t - first, tiles);
                    }
                }
                for f in 0..ALL {
                    self.multiply::<S>(f, tiles, block > 0);
                }
            }
        }
    }
}

impl Part<'_> {
    /// Transforms tile `t` of both feature maps into row `i`.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. `M` must be the size of a tile's output, `t` the index of a tile of the
    /// maps, and `i` less than `tiles.count`.
    #[inline(always)]
    unsafe fn read<S: Simd, const M: usize>(&self, t: usize, i: usize, tiles: Tiles) {
        let (rows, columns) = self.of.tiles;
        let (n, at) = (t / (rows * columns), (t / columns % rows * M, t % columns * M));
        let patch = Patch::<SIDE>::new(self.x, n, at, self.of.padding);
        let (from, x) = (self.channels.clone(), (tiles.x.wrapping_add(i * tiles.apart), tiles.x_apart));
        let gradient = Patch::<M>::new(self.dy, n, at, (0, 0));
        let dy = (tiles.dy.wrapping_add(i * self.width), tiles.dy_apart);
        // SAFETY: each frequency has a row `i` in both parts of `tiles`.
        unsafe {
            match patch.is_whole() {
                true => transform::<S, SIDE, true>(&patch, from, x),
                false => transform::<S, SIDE, false>(&patch, from, x),
            }
            match gradient.is_whole() {
                true => transform::<S, M, true>(&gradient, 0..self.dy.c, dy),
                false => transform::<S, M, false>(&gradient, 0..self.dy.c, dy),
            }
        }
    }

    /// Sums the products of all tiles of one frequency. With `more`, adds them to the previous sums.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. `f` must be the index of a frequency, and the tiles must have been
    /// transformed.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(&self, f: usize, tiles: Tiles, more: bool) {
        // SAFETY: these channels of the sums belong to this task, and the transformed rows were written.
        unsafe {
            let x = Rows { at: tiles.x.add(f * tiles.x_apart), apart: tiles.apart };
            let dy = Rows { at: tiles.dy.add(f * tiles.dy_apart), apart: self.width };
            let to = (self.sums.add(f * self.width), ALL * self.width);
            outer_products::<S>((self.channels.len(), self.width, tiles.count), x, dy, to, more);
        }
    }
}

/// Transforms some channels of a patch along both axes. Writes a row for each frequency to `to`, with stride `apart`.
///
/// # Safety
/// The CPU must support the instruction set `S`. `channels` and, if `WHOLE`, all pixels of the patch must be in bounds of the map. Each row
/// of `to` must be valid for writes of the channels, rounded up to whole vectors, and no other thread may access it.
#[inline(always)]
unsafe fn transform<S: Simd, const N: usize, const WHOLE: bool>(
    patch: &Patch<N>,
    channels: std::ops::Range<usize>,
    (to, apart): (*mut f32, usize),
) {
    for c in channels.clone().step_by(S::LANES) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let mut half = [[S::splat(0.0); N]; SIDE];
            for j in 0..N {
                let d = along::<S, N>(patch.column::<S, WHOLE>(j, c, channels.end - c));
                for i in 0..SIDE {
                    half[i][j] = d[i];
                }
            }
            for i in 0..SIDE {
                let d = along::<S, N>(half[i]);
                for j in 0..SIDE {
                    S::store(to.add((i * SIDE + j) * apart + c - channels.start), d[j]);
                }
            }
        }
    }
}

/// Transforms one column of a tile's input or of the gradient of its output.
///
/// # Safety
/// The CPU must support the instruction set `S`.
#[inline(always)]
unsafe fn along<S: Simd, const N: usize>(column: [S::V; N]) -> [S::V; SIDE] {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if N == SIDE {
            let mut d = [S::splat(0.0); SIDE];
            d.copy_from_slice(&column);
            input::<S, SIDE>(d)
        } else {
            output_transposed::<S, N>(column)
        }
    }
}
