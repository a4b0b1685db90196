//! Products of feature maps: elementwise, or with one factor per channel of each picture, as in squeeze-and-excitation.

use crate::map::{Map, MapMut};
use crate::packed::SharedPtr;
use crate::simd::{self, Simd, Task};
use crate::thread_team;
use crate::tile::{Epilogue, Exit, finish};
use std::ops::Range;

/// Computes `y = x m`, followed by the epilogue. `m` has the size of `x`, or a single pixel per picture, which multiplies all pixels.
///
/// # Panics
/// If the sizes differ.
pub fn multiply_maps(x: &Map, m: &Map, y: &mut MapMut, epilogue: Epilogue) {
    let sizes = (y.n, y.h, y.w, y.c);
    let fits = (m.n, m.h, m.w, m.c) == sizes || (m.n, m.h, m.w, m.c) == (y.n, 1, 1, y.c);
    assert!((x.n, x.h, x.w, x.c) == sizes && fits, "{x:?}, {m:?} and {y:?} do not match");
    epilogue.check(y);
    let y = &*y;
    let shared = if m.pixels() == y.pixels() { 1 } else { y.h * y.w };
    thread_team::ranges(y.pixels(), (1 << 14) / y.c.max(1) + 1, |range| {
        simd::run(Multiply { x, m, shared, y, range, epilogue });
    });
}

/// Computes `dm`, `(N, C)`, the gradient of [`multiply_maps`] with respect to an `m` with a single pixel per picture: `Σ dy x` over the
/// pixels of each picture.
///
/// # Panics
/// If the sizes differ.
pub fn gate_vjp(dy: &Map, x: &Map, dm: &mut [f32]) {
    assert!((dy.n, dy.h, dy.w, dy.c) == (x.n, x.h, x.w, x.c), "{dy:?} and {x:?} do not match");
    assert!(dm.len() == x.n * x.c, "a slice of {} elements does not match {x:?}", dm.len());
    let blocks = x.c.div_ceil(CHANNELS);
    let to = SharedPtr(dm.as_mut_ptr());
    thread_team::ranges(x.n * blocks, (1 << 14) / (x.h * x.w * CHANNELS).max(1) + 1, |range| {
        simd::run(Gates { dy, x, to: to.get(), blocks, range });
    });
}

/// Number of channels per task.
const CHANNELS: usize = 64;

struct Multiply<'a> {
    x: &'a Map<'a>,
    m: &'a Map<'a>,
    /// Number of pixels that one pixel of `m` multiplies.
    shared: usize,
    y: &'a MapMut<'a>,
    range: Range<usize>,
    epilogue: Epilogue<'a>,
}

impl Task for Multiply<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let exit = Exit { epilogue: self.epilogue, more: false, last: true };
        for pixel in self.range {
            let mut c = 0;
            while c < self.y.c {
                let n = self.y.c - c;
                // SAFETY: channels `c..c + n` of the pixel are in bounds of all maps, and each pixel belongs to one task.
                unsafe {
                    let x = S::load_part(self.x.at.add(pixel * self.x.pitch + c), n);
                    let m = S::load_part(self.m.at.add(pixel / self.shared * self.m.pitch + c), n);
                    finish::<S>(S::mul(x, m), self.y.at.add(pixel * self.y.pitch + c), pixel, c, n, &exit);
                }
                c += S::LANES;
            }
        }
    }
}

struct Gates<'a> {
    dy: &'a Map<'a>,
    x: &'a Map<'a>,
    to: *mut f32,
    /// Number of blocks of channels per picture.
    blocks: usize,
    range: Range<usize>,
}

impl Task for Gates<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (x, pixels) = (self.x, self.x.h * self.x.w);
        for i in self.range {
            let (picture, first) = (i / self.blocks, i % self.blocks * CHANNELS);
            let end = (first + CHANNELS).min(x.c);
            let mut c = first;
            while c < end {
                let n = (end - c).min(S::LANES);
                // SAFETY: channels `c..c + n` of all pixels are in bounds of both maps, and each block of channels belongs to one task.
                unsafe {
                    let mut sum = S::splat(0.0);
                    for pixel in picture * pixels..(picture + 1) * pixels {
                        let dy = S::load_part(self.dy.at.add(pixel * self.dy.pitch + c), n);
                        sum = S::fma(dy, S::load_part(x.at.add(pixel * x.pitch + c), n), sum);
                    }
                    S::store_part(self.to.add(picture * x.c + c), n, sum);
                }
                c += S::LANES;
            }
        }
    }
}
