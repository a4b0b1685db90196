//! Max pooling that remembers the tap it took, mean pooling, and their ways back.

use crate::map::{Map, MapMut};
use crate::simd::{self, Simd, Task};
use crate::team;

/// A window over both axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool {
    /// Taps along height and width.
    pub kernel: (usize, usize),
    /// Distance of windows.
    pub stride: (usize, usize),
    /// Positions before the first.
    pub padding: (usize, usize),
    /// Distance of taps.
    pub dilation: (usize, usize),
}

/// The tap of a window that holds nothing.
const NONE: u8 = u8::MAX;

impl Pool {
    /// Whether a tap's number fits a byte.
    pub fn fits(&self) -> bool {
        self.kernel.0 * self.kernel.1 < usize::from(NONE)
    }

    /// The input's row or column of a tap, if inside.
    #[inline(always)]
    fn at(window: usize, tap: usize, (stride, padding, dilation): (usize, usize, usize), size: usize) -> Option<usize> {
        let place = (window * stride + tap * dilation).wrapping_sub(padding);
        if place < size { Some(place) } else { None }
    }

    fn axes(&self) -> [(usize, usize, usize); 2] {
        let (s, p, d) = (self.stride, self.padding, self.dilation);
        [(s.0, p.0, d.0), (s.1, p.1, d.1)]
    }

    /// The greatest value of each window, and in `taps`, dense like `y`, where it stood: the first in row order; NaN counts
    /// as greatest.
    ///
    /// # Panics
    /// Where sizes do not fit one another.
    pub fn max(&self, x: &Map, y: &mut MapMut, taps: &mut [u8]) {
        assert!(self.fits() && x.n == y.n && x.c == y.c && taps.len() == y.pixels() * y.c, "{x:?} to {y:?}");
        let at = crate::packed::Raw(taps.as_mut_ptr().cast());
        let grain = (1 << 12) / (y.w * y.c).max(1) + 1;
        let y = &*y;
        team::ranges(y.n * y.h, grain, |rows| simd::run(Max { pool: self, x, y, taps: at.get().cast(), rows }));
    }

    /// The way back: each window's gradient goes to its greatest value. With `mask`, to nothing where that map is not
    /// positive.
    ///
    /// # Panics
    /// Where sizes do not fit one another.
    pub fn max_vjp(&self, dy: &Map, taps: &[u8], dx: &mut MapMut, mask: Option<Map>) {
        assert!(dx.n == dy.n && dx.c == dy.c && taps.len() == dy.pixels() * dy.c, "{dy:?} to {dx:?}");
        assert!(mask.is_none_or(|m| (m.n, m.h, m.w, m.c) == (dx.n, dx.h, dx.w, dx.c)), "{mask:?} beside {dx:?}");
        let grain = (1 << 12) / (dx.w * dx.c).max(1) + 1;
        let dx = &*dx;
        team::ranges(dx.n * dx.h, grain, |rows| simd::run(MaxVjp { pool: self, dy, taps, dx, mask, rows }));
    }

    /// The mean of each window by its divisor.
    pub fn mean(&self, x: &Map, y: &mut MapMut, divisor: impl Fn(usize, usize) -> f32 + Sync) {
        assert!(x.n == y.n && x.c == y.c, "{x:?} to {y:?}");
        let [rows, columns] = self.axes();
        let y = &*y;
        team::ranges(y.n * y.h, (1 << 12) / (y.w * y.c).max(1) + 1, |range| {
            for row in range {
                let (n, i) = (row / y.h, row % y.h);
                for j in 0..y.w {
                    // SAFETY: each row is one task's.
                    let out = unsafe { std::slice::from_raw_parts_mut(y.at.add((row * y.w + j) * y.pitch), y.c) };
                    out.fill(0.0);
                    for r in (0..self.kernel.0).filter_map(|t| Self::at(i, t, rows, x.h)) {
                        for c in (0..self.kernel.1).filter_map(|t| Self::at(j, t, columns, x.w)) {
                            // SAFETY: inside of the map.
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

    /// The mean's way back.
    pub fn mean_vjp(&self, dy: &Map, dx: &mut MapMut, divisor: impl Fn(usize, usize) -> f32 + Sync) {
        assert!(dx.n == dy.n && dx.c == dy.c, "{dy:?} to {dx:?}");
        let [rows, columns] = self.axes();
        let dx = &*dx;
        team::run(dx.n, |n| {
            for p in n * dx.h * dx.w..(n + 1) * dx.h * dx.w {
                // SAFETY: each picture is one task's.
                unsafe { std::slice::from_raw_parts_mut(dx.at.add(p * dx.pitch), dx.c) }.fill(0.0);
            }
            for (i, j) in (0..dy.h).flat_map(|i| (0..dy.w).map(move |j| (i, j))) {
                let d = divisor(i, j);
                // SAFETY: inside of the maps.
                let from = unsafe { pixel(dy, (n * dy.h + i) * dy.w + j) };
                for r in (0..self.kernel.0).filter_map(|t| Self::at(i, t, rows, dx.h)) {
                    for c in (0..self.kernel.1).filter_map(|t| Self::at(j, t, columns, dx.w)) {
                        let at = (n * dx.h + r) * dx.w + c;
                        // SAFETY: as above.
                        let to = unsafe { std::slice::from_raw_parts_mut(dx.at.add(at * dx.pitch), dx.c) };
                        to.iter_mut().zip(from).for_each(|(to, v)| *to += v / d);
                    }
                }
            }
        });
    }
}

/// The channels of a pixel.
#[inline(always)]
unsafe fn pixel<'a>(x: &Map<'a>, i: usize) -> &'a [f32] {
    std::slice::from_raw_parts(x.at.add(i * x.pitch), x.c)
}

struct Max<'a> {
    pool: &'a Pool,
    x: &'a Map<'a>,
    y: &'a MapMut<'a>,
    taps: *mut u8,
    rows: std::ops::Range<usize>,
}

impl Task for Max<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (pool, x, y) = (self.pool, self.x, self.y);
        let [rows, columns] = pool.axes();
        for row in self.rows {
            let (n, i) = (row / y.h, row % y.h);
            for j in 0..y.w {
                let out = std::slice::from_raw_parts_mut(y.at.add((row * y.w + j) * y.pitch), y.c);
                let taps = std::slice::from_raw_parts_mut(self.taps.add((row * y.w + j) * y.c), y.c);
                let mut first = true;
                for a in 0..pool.kernel.0 {
                    let Some(r) = Pool::at(i, a, rows, x.h) else { continue };
                    for b in 0..pool.kernel.1 {
                        let Some(c) = Pool::at(j, b, columns, x.w) else { continue };
                        let v = &pixel(x, (n * x.h + r) * x.w + c)[..out.len()];
                        let tap = (a * pool.kernel.1 + b) as u8;
                        let taps = &mut taps[..out.len()];
                        if first {
                            out.copy_from_slice(v);
                            taps.fill(tap);
                            first = false;
                            continue;
                        }
                        for k in 0..out.len() {
                            let greater = (v[k] > out[k]) | ((v[k].is_nan()) & !(out[k].is_nan()));
                            out[k] = if greater { v[k] } else { out[k] };
                            taps[k] = if greater { tap } else { taps[k] };
                        }
                    }
                }
                if first {
                    out.fill(0.0);
                    taps.fill(NONE);
                }
            }
        }
    }
}

struct MaxVjp<'a> {
    pool: &'a Pool,
    dy: &'a Map<'a>,
    taps: &'a [u8],
    dx: &'a MapMut<'a>,
    mask: Option<Map<'a>>,
    rows: std::ops::Range<usize>,
}

impl Task for MaxVjp<'_> {
    type Out = ();

    /// Gathers: each input pixel looks at the windows that hold it, in the order in which they stand.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (pool, dy, dx) = (self.pool, self.dy, self.dx);
        let [rows, columns] = pool.axes();
        for row in self.rows {
            let (n, i) = (row / dx.h, row % dx.h);
            for j in 0..dx.w {
                let to = std::slice::from_raw_parts_mut(dx.at.add((row * dx.w + j) * dx.pitch), dx.c);
                to.fill(0.0);
                for a in (0..pool.kernel.0).rev() {
                    let Some(r) = window(i, a, rows, dy.h) else { continue };
                    for b in (0..pool.kernel.1).rev() {
                        let Some(c) = window(j, b, columns, dy.w) else { continue };
                        let at = (n * dy.h + r) * dy.w + c;
                        let v = &pixel(dy, at)[..to.len()];
                        let taps = &self.taps[at * dy.c..][..to.len()];
                        let tap = (a * pool.kernel.1 + b) as u8;
                        for k in 0..to.len() {
                            to[k] += if taps[k] == tap { v[k] } else { 0.0 };
                        }
                    }
                }
                if let Some(mask) = &self.mask {
                    let mask = &pixel(mask, row * dx.w + j)[..to.len()];
                    for k in 0..to.len() {
                        to[k] = if mask[k] > 0.0 { to[k] } else { 0.0 };
                    }
                }
            }
        }
    }
}

/// The window that has its tap `tap` at `place`.
#[inline(always)]
fn window(place: usize, tap: usize, (stride, padding, dilation): (usize, usize, usize), count: usize) -> Option<usize> {
    let start = (place + padding).checked_sub(tap * dilation)?;
    if start.is_multiple_of(stride) && start / stride < count { Some(start / stride) } else { None }
}
