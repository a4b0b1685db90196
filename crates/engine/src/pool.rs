//! Max pooling, average pooling, and their VJPs.

use crate::map::{Map, MapMut};
use crate::simd::{self, Simd, Task};
use crate::size::{MOST_TAPS, bounded, positive};
use crate::thread_team;

/// Number of output elements per task.
const GRAIN: usize = 1 << 12;

/// A pooling window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool {
    /// Height and width of the window.
    pub kernel: (usize, usize),
    /// Stride along height and width.
    pub stride: (usize, usize),
    /// Padding before the first row and the first column.
    pub padding: (usize, usize),
    /// Dilation, the spacing between window elements, along height and width.
    pub dilation: (usize, usize),
}

impl Pool {
    /// Checks that the window's parameters are valid.
    ///
    /// # Panics
    /// If a size is zero or too large.
    fn check(&self) {
        let [kernel, stride, dilation] = [self.kernel, self.stride, self.dilation];
        positive(&[kernel.0, kernel.1, stride.0, stride.1, dilation.0, dilation.1]);
        bounded(&[self.padding.0, self.padding.1]);
        assert!(kernel.0 * kernel.1 <= MOST_TAPS, "the kernel of {self:?} is too large");
    }

    /// The input row or column that a tap of a window reads; `None` if it lies outside the feature map.
    #[inline(always)]
    fn at(window: usize, tap: usize, (stride, padding, dilation): (usize, usize, usize), size: usize) -> Option<usize> {
        let place = (window * stride + tap * dilation).wrapping_sub(padding);
        if place < size { Some(place) } else { None }
    }

    fn axes(&self) -> [(usize, usize, usize); 2] {
        let (s, p, d) = (self.stride, self.padding, self.dilation);
        [(s.0, p.0, d.0), (s.1, p.1, d.1)]
    }

    /// The first input row or column of a window with `kernel` taps; `None` if part of the window lies outside the feature map.
    #[inline(always)]
    fn whole(
        window: usize,
        kernel: usize,
        (stride, padding, dilation): (usize, usize, usize),
        size: usize,
    ) -> Option<usize> {
        let first = (window * stride).checked_sub(padding)?;
        if first + (kernel - 1) * dilation < size { Some(first) } else { None }
    }

    /// The offset in pixels of each tap of a window from the first tap, in a feature map of width `w`.
    fn offsets(&self, w: usize) -> Vec<usize> {
        let rows = (0..self.kernel.0).map(|a| a * self.dilation.0 * w);
        rows.flat_map(|row| (0..self.kernel.1).map(move |b| row + b * self.dilation.1)).collect()
    }

    /// Whether each pixel of a feature map of size `from` lies in exactly one window, for an output of size `to`.
    fn tiles(&self, from: (usize, usize), to: (usize, usize)) -> bool {
        let plain = self.padding == (0, 0) && self.dilation == (1, 1) && self.kernel == self.stride;
        plain && (to.0 * self.kernel.0, to.1 * self.kernel.1) == from
    }

    /// Writes the maximum of each window of `x` to `y`. NaN counts as the maximum. A window that lies entirely outside the
    /// feature map has the maximum −∞.
    ///
    /// # Panics
    /// If the sizes of the feature maps do not match.
    pub fn max(&self, x: &Map, y: &mut MapMut) {
        self.check();
        assert!(x.n == y.n && x.c == y.c, "{x:?} and {y:?} do not match");
        let y = &*y;
        thread_team::ranges(y.n * y.h, GRAIN / (y.w * y.c).max(1) + 1, |rows| {
            simd::run(Max { pool: self, x, y, rows })
        });
    }

    /// The VJP of [`Pool::max`]: each window's gradient is routed to its maximum (in a tie, the first in row-major order). With
    /// `positive`, only positive maxima receive a gradient, which fuses the VJP of a ReLU before the pooling.
    ///
    /// # Panics
    /// If the sizes of the feature maps do not match.
    pub fn max_vjp(&self, x: &Map, y: &Map, dy: &Map, dx: &mut MapMut, positive: bool) {
        self.check();
        assert!((x.n, x.h, x.w, x.c) == (dx.n, dx.h, dx.w, dx.c), "{x:?} and {dx:?} do not match");
        assert!(
            (y.n, y.h, y.w, y.c) == (dy.n, dy.h, dy.w, dy.c) && y.n == x.n && y.c == x.c,
            "{x:?} and {y:?} do not match"
        );
        let dx = &*dx;
        let tiled = self.tiles((dx.h, dx.w), (y.h, y.w));
        // Each task writes some rows of a picture and visits all windows that overlap them.
        let bands = (2 * thread_team::size()).div_ceil(dx.n.max(1)).min(dx.h).max(1);
        thread_team::run(dx.n * bands, |i| {
            let (n, band) = (i / bands, i % bands);
            let band = band * dx.h / bands..(band + 1) * dx.h / bands;
            simd::run(MaxVjp { pool: self, x, y, dy, dx, n, band, positive, tiled });
        });
    }

    /// Writes the sum of each window of `x`, divided by the window's `divisor(row, column)`, to `y`.
    ///
    /// # Panics
    /// If the sizes of the feature maps do not match.
    pub fn mean(&self, x: &Map, y: &mut MapMut, divisor: impl Fn(usize, usize) -> f32 + Sync) {
        self.check();
        assert!(x.n == y.n && x.c == y.c, "{x:?} and {y:?} do not match");
        let [rows, columns] = self.axes();
        let y = &*y;
        thread_team::ranges(y.n * y.h, GRAIN / (y.w * y.c).max(1) + 1, |range| {
            for row in range {
                let (n, i) = (row / y.h, row % y.h);
                for j in 0..y.w {
                    // SAFETY: the pixel lies inside the map, and each row belongs to one task.
                    let out = unsafe { std::slice::from_raw_parts_mut(y.at.add((row * y.w + j) * y.pitch), y.c) };
                    out.fill(0.0);
                    for r in (0..self.kernel.0).filter_map(|t| Self::at(i, t, rows, x.h)) {
                        for c in (0..self.kernel.1).filter_map(|t| Self::at(j, t, columns, x.w)) {
                            // SAFETY: the pixel lies inside the map.
                            let v = unsafe { pixel(x, (n * x.h + r) * x.w + c) };
                            out.iter_mut().zip(v).for_each(|(o, v)| *o += v);
                        }
                    }
                    let d = divisor(i, j);
                    out.iter_mut().for_each(|o| *o /= d);
                }
            }
        });
    }

    /// The VJP of [`Pool::mean`].
    ///
    /// # Panics
    /// If the sizes of the feature maps do not match.
    pub fn mean_vjp(&self, dy: &Map, dx: &mut MapMut, divisor: impl Fn(usize, usize) -> f32 + Sync) {
        self.check();
        assert!(dx.n == dy.n && dx.c == dy.c, "{dy:?} and {dx:?} do not match");
        let [rows, columns] = self.axes();
        let dx = &*dx;
        thread_team::run(dx.n, |n| {
            for p in n * dx.h * dx.w..(n + 1) * dx.h * dx.w {
                // SAFETY: the pixel lies inside the map, and each picture belongs to one task.
                unsafe { std::slice::from_raw_parts_mut(dx.at.add(p * dx.pitch), dx.c) }.fill(0.0);
            }
            for (i, j) in (0..dy.h).flat_map(|i| (0..dy.w).map(move |j| (i, j))) {
                let d = divisor(i, j);
                // SAFETY: the pixel lies inside the map.
                let from = unsafe { pixel(dy, (n * dy.h + i) * dy.w + j) };
                for r in (0..self.kernel.0).filter_map(|t| Self::at(i, t, rows, dx.h)) {
                    for c in (0..self.kernel.1).filter_map(|t| Self::at(j, t, columns, dx.w)) {
                        let at = (n * dx.h + r) * dx.w + c;
                        // SAFETY: the pixel lies inside the map, and each picture belongs to one task.
                        let to = unsafe { std::slice::from_raw_parts_mut(dx.at.add(at * dx.pitch), dx.c) };
                        to.iter_mut().zip(from).for_each(|(to, v)| *to += v / d);
                    }
                }
            }
        });
    }
}

/// The channels of pixel `i`.
///
/// # Safety
/// Pixel `i` must be in bounds of `x`, and no thread may write to it while the slice is in use.
#[inline(always)]
unsafe fn pixel<'a>(x: &Map<'a>, i: usize) -> &'a [f32] {
    // SAFETY: the caller guarantees that the pixel is in bounds.
    unsafe { std::slice::from_raw_parts(x.at.add(i * x.pitch), x.c) }
}

struct Max<'a> {
    pool: &'a Pool,
    x: &'a Map<'a>,
    y: &'a MapMut<'a>,
    rows: std::ops::Range<usize>,
}

impl Task for Max<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `Pool::at` returns only rows and columns within the map, `Pool::max` checked the other sizes, and each output
        // row belongs to one task.
        unsafe {
            let (pool, x, y) = (self.pool, self.x, self.y);
            let [rows, columns] = pool.axes();
            let offsets: Vec<_> = pool.offsets(x.w).iter().map(|offset| offset * x.pitch).collect();
            let mut taps = Vec::with_capacity(offsets.len());
            for row in self.rows.start..self.rows.end {
                let (n, i) = (row / y.h, row % y.h);
                let top = Pool::whole(i, pool.kernel.0, rows, x.h);
                for j in 0..y.w {
                    let to = y.at.add((row * y.w + j) * y.pitch);
                    if let (Some(top), Some(left)) = (top, Pool::whole(j, pool.kernel.1, columns, x.w)) {
                        let first = x.at.add(((n * x.h + top) * x.w + left) * x.pitch);
                        self.window::<S>(first, &offsets, to);
                        continue;
                    }
                    taps.clear();
                    for a in 0..pool.kernel.0 {
                        let Some(r) = Pool::at(i, a, rows, x.h) else { continue };
                        for b in 0..pool.kernel.1 {
                            let Some(c) = Pool::at(j, b, columns, x.w) else { continue };
                            taps.push(((n * x.h + r) * x.w + c) * x.pitch);
                        }
                    }
                    self.window::<S>(x.at, &taps, to);
                }
            }
        }
    }
}

impl Max<'_> {
    /// Writes the maximum of the pixels at offsets `taps` from `first` to `to`.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. For each of `taps`, `first + tap` must be valid for reads of one pixel; `to` must be
    /// valid for writes of one pixel.
    #[inline(always)]
    unsafe fn window<S: Simd>(&self, first: *const f32, taps: &[usize], to: *mut f32) {
        let mut c = 0;
        while c < self.y.c {
            // SAFETY: guaranteed by the caller. Without taps, `first` may point outside the map, so the addition wraps.
            unsafe {
                let first = first.wrapping_add(c);
                if self.y.c - c >= S::LANES {
                    self.channels::<S, true>(first, taps, to.add(c), S::LANES);
                } else {
                    self.channels::<S, false>(first, taps, to.add(c), self.y.c - c);
                }
            }
            c += S::LANES;
        }
    }

    /// Writes the maximum of `n` channels, or of a whole vector if `FULL`.
    ///
    /// # Safety
    /// Same as for [`window`](Self::window), for `n` channels or a whole vector if `FULL`.
    #[inline(always)]
    unsafe fn channels<S: Simd, const FULL: bool>(&self, first: *const f32, taps: &[usize], to: *mut f32, n: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let mut best = S::splat(f32::NEG_INFINITY);
            for (t, &tap) in taps.iter().enumerate() {
                let v = load::<S, FULL>(first.add(tap), n);
                best = if t == 0 { v } else { S::max_or_nan(best, v) };
            }
            if FULL { S::store(to, best) } else { S::store_part(to, n, best) }
        }
    }
}

struct MaxVjp<'a> {
    pool: &'a Pool,
    x: &'a Map<'a>,
    y: &'a Map<'a>,
    dy: &'a Map<'a>,
    dx: &'a MapMut<'a>,
    n: usize,
    band: std::ops::Range<usize>,
    positive: bool,
    /// Whether each pixel lies in exactly one window, so gradients need not be accumulated.
    tiled: bool,
}

impl Task for MaxVjp<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `Pool::at` returns only rows and columns within the map, `Pool::max_vjp` checked the other sizes; only rows
        // of the band are written, and the bands of a picture are disjoint.
        unsafe {
            let (pool, x, y, dx) = (self.pool, self.x, self.y, self.dx);
            let [rows, columns] = pool.axes();
            let offsets: Vec<_> = pool.offsets(x.w).iter().map(|o| (o * x.pitch, Some(o * dx.pitch))).collect();
            let mut taps = Vec::with_capacity(offsets.len());
            // Rows are cleared just before their first window is visited, so that they are in the cache.
            let mut clear = if self.tiled { self.band.end } else { self.band.start };
            let mut lines = Vec::with_capacity(pool.kernel.0);
            for i in 0..y.h {
                lines.clear();
                lines.extend((0..pool.kernel.0).filter_map(|a| Pool::at(i, a, rows, x.h)));
                if !lines.iter().any(|r| self.band.contains(r)) {
                    continue;
                }
                clear = self.clear::<S>(clear, lines.last().map_or(clear, |r| r + 1));
                let own = lines.iter().all(|r| self.band.contains(r));
                let top = Pool::whole(i, pool.kernel.0, rows, x.h).filter(|_| own);
                for j in 0..y.w {
                    let window = (self.n * y.h + i) * y.w + j;
                    let from = (y.at.add(window * y.pitch), self.dy.at.add(window * self.dy.pitch));
                    if let (Some(top), Some(left)) = (top, Pool::whole(j, pool.kernel.1, columns, x.w)) {
                        let pixel = (self.n * x.h + top) * x.w + left;
                        self.window::<S>((x.at.add(pixel * x.pitch), dx.at.add(pixel * dx.pitch)), &offsets, from);
                        continue;
                    }
                    taps.clear();
                    for &r in &lines {
                        for b in 0..pool.kernel.1 {
                            let Some(column) = Pool::at(j, b, columns, x.w) else { continue };
                            let pixel = (self.n * x.h + r) * x.w + column;
                            taps.push((pixel * x.pitch, self.band.contains(&r).then_some(pixel * dx.pitch)));
                        }
                    }
                    self.window::<S>((x.at, dx.at), &taps, from);
                }
            }
            self.clear::<S>(clear, self.band.end);
        }
    }
}

impl MaxVjp<'_> {
    /// Zeros rows `from..to` of the band and returns the index of the row after them.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`, `from` must be at most the end of the band, and no other thread may access the band.
    #[inline(always)]
    unsafe fn clear<S: Simd>(&self, from: usize, to: usize) -> usize {
        // SAFETY: `to` is clamped to the band.
        unsafe {
            let (dx, to) = (self.dx, to.min(self.band.end).max(from));
            for p in (self.n * dx.h + from) * dx.w..(self.n * dx.h + to) * dx.w {
                crate::im2col::zero::<S>(dx.at.add(p * dx.pitch), dx.c);
            }
            to
        }
    }

    /// Routes the gradient of a window to the window's maximum, in all channels. `first` holds base addresses in `x` and `dx`;
    /// each tap has an offset in `x` and, if its pixel belongs to the band, one in `dx`. `from` holds the addresses of the
    /// window's maximum and of its gradient.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. All addresses must be valid for reads of one pixel, and those in `dx` also for writes.
    #[inline(always)]
    unsafe fn window<S: Simd>(
        &self,
        first: (*const f32, *mut f32),
        taps: &[(usize, Option<usize>)],
        from: (*const f32, *const f32),
    ) {
        let mut c = 0;
        while c < self.dx.c {
            // SAFETY: guaranteed by the caller. Without taps, `first` may point outside the maps, so its additions wrap.
            unsafe {
                let first = (first.0.wrapping_add(c), first.1.wrapping_add(c));
                let from = (from.0.add(c), from.1.add(c));
                match (self.dx.c - c >= S::LANES, self.tiled) {
                    (true, true) => self.channels::<S, true, true>(first, taps, from, S::LANES),
                    (true, false) => self.channels::<S, true, false>(first, taps, from, S::LANES),
                    (false, true) => self.channels::<S, false, true>(first, taps, from, self.dx.c - c),
                    (false, false) => self.channels::<S, false, false>(first, taps, from, self.dx.c - c),
                }
            }
            c += S::LANES;
        }
    }

    /// Routes the gradient of a window, for `n` channels or a whole vector if `FULL`, to the first element that equals the
    /// maximum. If `TILED`, existing gradients are overwritten.
    ///
    /// # Safety
    /// Same as for [`window`](Self::window), for `n` channels or a whole vector if `FULL`.
    #[inline(always)]
    unsafe fn channels<S: Simd, const FULL: bool, const TILED: bool>(
        &self,
        (x, dx): (*const f32, *mut f32),
        taps: &[(usize, Option<usize>)],
        (best, dy): (*const f32, *const f32),
        n: usize,
    ) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let best = load::<S, FULL>(best, n);
            let mut left = load::<S, FULL>(dy, n);
            if self.positive {
                left = S::where_positive(best, left);
            }
            for &(from, to) in taps {
                let part = S::where_equal(load::<S, FULL>(x.add(from), n), best, left);
                left = S::sub(left, part);
                let Some(to) = to else { continue };
                let to = dx.add(to);
                let sum = if TILED { part } else { S::add(load::<S, FULL>(to, n), part) };
                if FULL { S::store(to, sum) } else { S::store_part(to, n, sum) }
            }
        }
    }
}

/// Loads `n` lanes, or a whole vector if `FULL`.
///
/// # Safety
/// The CPU must support the instruction set `S`, and `at` must be valid for reads of `n` elements, or of a whole vector if `FULL`.
#[inline(always)]
unsafe fn load<S: Simd, const FULL: bool>(at: *const f32, n: usize) -> S::V {
    // SAFETY: guaranteed by the caller.
    unsafe { if FULL { S::load(at) } else { S::load_part(at, n) } }
}
