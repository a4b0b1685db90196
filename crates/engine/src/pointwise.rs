//! Elementwise passes over feature maps.

use crate::map::{Map, MapMut};
use crate::simd::{self, Simd, Task};
use crate::thread_team;
use crate::tile::{Epilogue, Exit, finish};

/// Applies an epilogue to each element of `x`. Covers copies, sums, batch norms, activations and their VJPs.
///
/// # Panics
/// If the sizes differ.
pub fn pass(x: &Map, y: &mut MapMut, epilogue: Epilogue) {
    assert!((x.n, x.h, x.w, x.c) == (y.n, y.h, y.w, y.c), "{x:?} and {y:?} do not match");
    epilogue.check(y);
    let y = &*y;
    thread_team::ranges(y.pixels(), (1 << 14) / y.c.max(1) + 1, |range| simd::run(Pass { x, y, range, epilogue }));
}

/// Sums all pictures of `x` into the single picture `y`.
///
/// # Panics
/// If the sizes differ.
pub fn sum_pictures(x: &Map, y: &mut MapMut) {
    assert!(x.n > 0 && (1, x.h, x.w, x.c) == (y.n, y.h, y.w, y.c), "{x:?} and {y:?} do not match");
    let y = &*y;
    thread_team::ranges(y.pixels(), (1 << 14) / (x.n * y.c).max(1) + 1, |range| simd::run(Sum { x, y, range }));
}

struct Sum<'a> {
    x: &'a Map<'a>,
    y: &'a MapMut<'a>,
    range: std::ops::Range<usize>,
}

impl Task for Sum<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `sum_pictures` checked the sizes, and each pixel belongs to one task.
        unsafe {
            let (x, y) = (self.x, self.y);
            let picture = x.h * x.w * x.pitch;
            for pixel in self.range.start..self.range.end {
                let (from, to) = (x.at.add(pixel * x.pitch), y.at.add(pixel * y.pitch));
                let mut c = 0;
                while c < y.c {
                    let n = (y.c - c).min(S::LANES);
                    let part = |k: usize| S::load_part(from.add(k * picture + c), n);
                    let mut sum = part(0);
                    for k in 1..x.n {
                        sum = S::add(sum, part(k));
                    }
                    S::store_part(to.add(c), n, sum);
                    c += S::LANES;
                }
            }
        }
    }
}

struct Pass<'a> {
    x: &'a Map<'a>,
    y: &'a MapMut<'a>,
    range: std::ops::Range<usize>,
    epilogue: Epilogue<'a>,
}

impl Task for Pass<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `pass` checked the sizes, and each pixel belongs to one task.
        unsafe {
            let exit = Exit { epilogue: self.epilogue, more: false, last: true };
            for pixel in self.range.start..self.range.end {
                let (from, to) = (self.x.at.add(pixel * self.x.pitch), self.y.at.add(pixel * self.y.pitch));
                let mut c = 0;
                while c < self.y.c {
                    let n = self.y.c - c;
                    let v = if n >= S::LANES { S::load(from.add(c)) } else { S::load_part(from.add(c), n) };
                    finish::<S>(v, to.add(c), pixel, c, n, &exit);
                    c += S::LANES;
                }
            }
        }
    }
}
