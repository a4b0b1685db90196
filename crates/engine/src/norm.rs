//! Sums over all pixels of each channel, and what batch normalization in training does with them.

use crate::buffer::Buffer;
use crate::map::{Map, MapMut};
use crate::packed::SharedPtr;
use crate::simd::{self, Simd, Task};
use crate::thread_team;
use crate::tile::{Epilogue, Exit, finish};

/// How many parts the pixels are summed in, whatever the number of cores.
const PARTS: usize = 16;

/// `Σ x` over all pixels of each channel; the same on any number of cores.
pub fn channel_sums(x: &Map) -> Vec<f32> {
    sums(x, None, None)
}

/// `Σ a (b − mean)` over all pixels of each channel; the same on any number of cores.
///
/// # Panics
/// Where sizes differ.
pub fn channel_products(a: &Map, b: &Map, mean: &[f32]) -> Vec<f32> {
    assert!((a.n, a.h, a.w, a.c) == (b.n, b.h, b.w, b.c) && mean.len() == a.c, "{a:?} beside {b:?}");
    sums(a, Some(b), Some(mean))
}

/// Mean and variance (divided by the number of pixels) of each channel.
pub fn channel_statistics(x: &Map) -> (Vec<f32>, Vec<f32>) {
    let count = x.pixels().max(1) as f32;
    let mean: Vec<f32> = channel_sums(x).iter().map(|sum| sum / count).collect();
    let variance = sums(x, None, Some(&mean)).iter().map(|sum| sum / count).collect();
    (mean, variance)
}

/// `y = a x + b z + c`, a number of each a channel, then through the epilogue.
///
/// # Panics
/// Where sizes differ.
pub fn combine(x: &Map, z: &Map, y: &mut MapMut, [a, b, c]: [&[f32]; 3], epilogue: Epilogue) {
    for map in [x, z] {
        assert!((map.n, map.h, map.w, map.c) == (y.n, y.h, y.w, y.c), "{map:?} to {y:?}");
    }
    assert!([a, b, c].iter().all(|v| v.len() == y.c), "a number a channel of {y:?}");
    epilogue.check(y);
    let y = &*y;
    let by = [a, b, c];
    thread_team::ranges(y.pixels(), (1 << 14) / y.c.max(1) + 1, |range| {
        simd::run(Combine { x, z, y, by, range, epilogue })
    });
}

/// `y = x m`, number by number.
///
/// # Panics
/// Where sizes differ.
pub fn multiply_maps(x: &Map, m: &Map, y: &mut MapMut) {
    for map in [x, m] {
        assert!((map.n, map.h, map.w, map.c) == (y.n, y.h, y.w, y.c), "{map:?} to {y:?}");
    }
    let y = &*y;
    thread_team::ranges(y.pixels(), (1 << 14) / y.c.max(1) + 1, |range| simd::run(Multiply { x, m, y, range }));
}

/// `Σ a (b − mean)`; without `b`, `Σ (a − mean)²`, and without either `Σ a`.
fn sums(a: &Map, b: Option<&Map>, mean: Option<&[f32]>) -> Vec<f32> {
    let (pixels, c) = (a.pixels(), a.c);
    let parts = PARTS.min(pixels.max(1));
    let mut all = Buffer::zeros(parts * c);
    let at = SharedPtr(all.numbers_mut().as_mut_ptr());
    thread_team::run(parts, |part| {
        let range = part * pixels / parts..(part + 1) * pixels / parts;
        // SAFETY: each part of the sums is one task's.
        let to = unsafe { at.get().add(part * c) };
        simd::run(Sums { a, b, mean, range, to });
    });
    let all = all.numbers();
    (0..c).map(|i| (1..parts).fold(all[i], |sum, part| sum + all[part * c + i])).collect()
}

struct Sums<'a> {
    a: &'a Map<'a>,
    b: Option<&'a Map<'a>>,
    mean: Option<&'a [f32]>,
    range: std::ops::Range<usize>,
    to: *mut f32,
}

impl Task for Sums<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut c = 0;
        while c < self.a.c {
            let n = (self.a.c - c).min(S::LANES);
            // SAFETY: channels `c..c + n` of pixels in range lie within the maps, the means and the sums.
            unsafe {
                let mean = self.mean.map_or(S::splat(0.0), |mean| S::load_part(mean.as_ptr().add(c), n));
                let mut sum = S::splat(0.0);
                for pixel in self.range.clone() {
                    let a = S::load_part(self.a.at.add(pixel * self.a.pitch + c), n);
                    sum = match (self.b, self.mean) {
                        (Some(b), _) => {
                            let b = S::load_part(b.at.add(pixel * b.pitch + c), n);
                            S::fma(a, S::sub(b, mean), sum)
                        }
                        (None, Some(_)) => {
                            let far = S::sub(a, mean);
                            S::fma(far, far, sum)
                        }
                        (None, None) => S::add(sum, a),
                    };
                }
                S::store_part(self.to.add(c), n, sum);
            }
            c += S::LANES;
        }
    }
}

struct Combine<'a> {
    x: &'a Map<'a>,
    z: &'a Map<'a>,
    y: &'a MapMut<'a>,
    by: [&'a [f32]; 3],
    range: std::ops::Range<usize>,
    epilogue: Epilogue<'a>,
}

impl Task for Combine<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let exit = Exit { epilogue: self.epilogue, more: false, last: true };
        for pixel in self.range.clone() {
            let mut c = 0;
            while c < self.y.c {
                let left = self.y.c - c;
                let n = left.min(S::LANES);
                // SAFETY: channels `c..c + n` of the pixel lie within all maps, and within the numbers a channel.
                unsafe {
                    let [a, b, shift] = self.by.map(|v| S::load_part(v.as_ptr().add(c), n));
                    let x = S::load_part(self.x.at.add(pixel * self.x.pitch + c), n);
                    let z = S::load_part(self.z.at.add(pixel * self.z.pitch + c), n);
                    let v = S::fma(a, x, S::fma(b, z, shift));
                    finish::<S>(v, self.y.at.add(pixel * self.y.pitch + c), pixel, c, left, &exit);
                }
                c += S::LANES;
            }
        }
    }
}

struct Multiply<'a> {
    x: &'a Map<'a>,
    m: &'a Map<'a>,
    y: &'a MapMut<'a>,
    range: std::ops::Range<usize>,
}

impl Task for Multiply<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for pixel in self.range.clone() {
            let mut c = 0;
            while c < self.y.c {
                let n = (self.y.c - c).min(S::LANES);
                // SAFETY: channels `c..c + n` of the pixel lie within all maps.
                unsafe {
                    let x = S::load_part(self.x.at.add(pixel * self.x.pitch + c), n);
                    let m = S::load_part(self.m.at.add(pixel * self.m.pitch + c), n);
                    S::store_part(self.y.at.add(pixel * self.y.pitch + c), n, S::mul(x, m));
                }
                c += S::LANES;
            }
        }
    }
}
