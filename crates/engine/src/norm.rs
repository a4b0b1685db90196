//! Channel statistics and elementwise passes of batch normalization in training mode.

use crate::buffer::Buffer;
use crate::map::{Map, MapMut};
use crate::packed::SharedPtr;
use crate::simd::{self, MOST_LANES, Simd, Task};
use crate::thread_team;
use crate::tile::{Epilogue, Exit, finish};
use std::ops::Range;

/// Maximum number of partial sums, independent of the number of cores.
const PARTS: usize = 16;
/// Number of elements per block, chosen so that a block stays in the L1 cache between the passes for mean and variance.
const NEAR: usize = 1 << 12;

/// `Σ x` over all pixels of each channel. The result does not depend on the number of cores.
pub fn channel_sums(x: &Map) -> Vec<f32> {
    let [sums] = totals(x, |range, to| simd::run(Sums { of: Value(x), x, range, to }));
    sums
}

/// `Σ a` and `Σ a (b − mean)` over all pixels of each channel, in one pass. The result does not depend on the number of cores.
///
/// # Panics
/// If the sizes differ.
pub fn channel_products(a: &Map, b: &Map, mean: &[f32]) -> (Vec<f32>, Vec<f32>) {
    assert!((a.n, a.h, a.w, a.c) == (b.n, b.h, b.w, b.c) && mean.len() == a.c, "{a:?} and {b:?} do not match");
    let [sums, products] = totals(a, |range, to| simd::run(Sums { of: Product(a, b, mean), x: a, range, to }));
    (sums, products)
}

/// Mean and biased variance of each channel, in one pass over memory. They are computed per block of pixels and then combined
/// (Chan, Golub & LeVeque 1983). The result does not depend on the number of cores.
pub fn channel_statistics(x: &Map) -> (Vec<f32>, Vec<f32>) {
    let c = x.c;
    let all = parts::<2>(x, |range, to| simd::run(Moments { x, range, to }));
    let (parts, all) = (all.0, all.1.numbers());
    let (mut mean, mut squares) = (all[..c].to_vec(), all[c..2 * c].to_vec());
    for part in 1..parts {
        let Range { start: before, end } = thread_team::part(x.pixels(), part, parts);
        let own = end - before;
        let share = own as f32 / (before + own) as f32;
        for i in 0..c {
            let [m, s] = [0, 1].map(|k| all[(2 * part + k) * c + i]);
            let apart = m - mean[i];
            mean[i] += apart * share;
            squares[i] += s + apart * apart * share * before as f32;
        }
    }
    let count = x.pixels().max(1) as f32;
    squares.iter_mut().for_each(|s| *s /= count);
    (mean, squares)
}

/// Computes `y = a x + b z + c` with one `a`, `b` and `c` per channel, followed by the epilogue.
///
/// # Panics
/// If the sizes differ.
pub fn combine(x: &Map, z: &Map, y: &mut MapMut, [a, b, c]: [&[f32]; 3], epilogue: Epilogue) {
    for map in [x, z] {
        assert!((map.n, map.h, map.w, map.c) == (y.n, y.h, y.w, y.c), "{map:?} and {y:?} do not match");
    }
    assert!([a, b, c].iter().all(|v| v.len() == y.c), "expected one scale factor per channel of {y:?}");
    epilogue.check(y);
    let y = &*y;
    let by = [a, b, c];
    thread_team::ranges(y.pixels(), (1 << 14) / y.c.max(1) + 1, |range| {
        simd::run(Combine { x, z, y, by, range, epilogue })
    });
}

/// Computes partial results: `f` writes `N` values per channel for each range of pixels. Returns the number of ranges and the
/// values.
fn parts<const N: usize>(x: &Map, f: impl Fn(Range<usize>, *mut f32) + Sync) -> (usize, Buffer) {
    let (pixels, c) = (x.pixels(), x.c);
    let parts = PARTS.min(pixels.max(1));
    let mut all = Buffer::zeros(parts * N * c);
    let at = SharedPtr(all.numbers_mut().as_mut_ptr());
    thread_team::run(parts, |part| {
        // SAFETY: each range writes to a separate part of the buffer, which belongs to one task.
        let to = unsafe { at.get().add(part * N * c) };
        f(thread_team::part(pixels, part, parts), to);
    });
    (parts, all)
}

/// Sums the partial results that `f` writes for ranges of pixels.
fn totals<const N: usize>(x: &Map, f: impl Fn(Range<usize>, *mut f32) + Sync) -> [Vec<f32>; N] {
    let (parts, all) = parts::<N>(x, f);
    let at = |part: usize, k: usize, i: usize| all.numbers()[(part * N + k) * x.c + i];
    std::array::from_fn(|k| (0..x.c).map(|i| (1..parts).fold(at(0, k, i), |sum, part| sum + at(part, k, i))).collect())
}

/// Splits a range of pixels into blocks that fit the L1 cache.
fn blocks(x: &Map, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let size = (NEAR / x.c.max(1)).max(16);
    let end = range.end;
    range.step_by(size).map(move |from| from..(from + size).min(end))
}

/// Computes `N` values per channel of a pixel, to be summed over pixels.
trait Summand<const N: usize> {
    /// The values of `n` channels of a pixel, starting at channel `c`.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`, and channels `c..c + n` of `pixel` must be in bounds of all feature maps.
    unsafe fn at<S: Simd>(&self, pixel: usize, c: usize, n: usize) -> [S::V; N];
}

/// The summand `x`.
struct Value<'a>(&'a Map<'a>);

impl Summand<1> for Value<'_> {
    #[inline(always)]
    unsafe fn at<S: Simd>(&self, pixel: usize, c: usize, n: usize) -> [S::V; 1] {
        // SAFETY: guaranteed by the caller.
        [unsafe { S::load_part(self.0.at.add(pixel * self.0.pitch + c), n) }]
    }
}

/// The summands `a` and `a (b − mean)`.
struct Product<'a>(&'a Map<'a>, &'a Map<'a>, &'a [f32]);

impl Summand<2> for Product<'_> {
    #[inline(always)]
    unsafe fn at<S: Simd>(&self, pixel: usize, c: usize, n: usize) -> [S::V; 2] {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let a = S::load_part(self.0.at.add(pixel * self.0.pitch + c), n);
            let b = S::load_part(self.1.at.add(pixel * self.1.pitch + c), n);
            [a, S::mul(a, S::sub(b, S::load_part(self.2.as_ptr().add(c), n)))]
        }
    }
}

/// The summand `(x − mean)²`.
struct Square<'a>(&'a Map<'a>, &'a [f32; MOST_LANES]);

impl Summand<1> for Square<'_> {
    #[inline(always)]
    unsafe fn at<S: Simd>(&self, pixel: usize, c: usize, n: usize) -> [S::V; 1] {
        // SAFETY: guaranteed by the caller; the array of means can hold a vector of any instruction set.
        unsafe {
            let apart = S::sub(Value(self.0).at::<S>(pixel, c, n)[0], S::load_part(self.1.as_ptr(), n));
            [S::mul(apart, apart)]
        }
    }
}

/// The sum of `n` channels, starting at channel `c`, over a range of pixels. Four pixels are summed at a time.
///
/// # Safety
/// The CPU must support the instruction set `S`, and channels `c..c + n` of `pixels` must be in bounds of all feature maps.
#[inline(always)]
unsafe fn sum<S: Simd, T: Summand<N>, const N: usize>(of: &T, pixels: Range<usize>, c: usize, n: usize) -> [S::V; N] {
    // SAFETY: the loops visit only pixels of the range.
    unsafe {
        let mut sums = [[S::splat(0.0); N]; 4];
        let mut pixel = pixels.start;
        while pixel + 4 <= pixels.end {
            for u in 0..4 {
                let v = of.at::<S>(pixel + u, c, n);
                for k in 0..N {
                    sums[u][k] = S::add(sums[u][k], v[k]);
                }
            }
            pixel += 4;
        }
        while pixel < pixels.end {
            let v = of.at::<S>(pixel, c, n);
            for k in 0..N {
                sums[0][k] = S::add(sums[0][k], v[k]);
            }
            pixel += 1;
        }
        let mut all = sums[0];
        for k in 0..N {
            all[k] = S::add(S::add(sums[0][k], sums[1][k]), S::add(sums[2][k], sums[3][k]));
        }
        all
    }
}

/// A task that adds the values of a range of pixels to `N` sums per channel.
struct Sums<'a, T, const N: usize> {
    of: T,
    x: &'a Map<'a>,
    range: Range<usize>,
    to: *mut f32,
}

impl<T: Summand<N>, const N: usize> Task for Sums<'_, T, N> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for block in blocks(self.x, self.range) {
            let mut c = 0;
            while c < self.x.c {
                let n = (self.x.c - c).min(S::LANES);
                // SAFETY: channels `c..c + n` of these pixels are in bounds of the maps and of the sums, which are zero-initialized.
                unsafe {
                    let sums = sum::<S, T, N>(&self.of, block.clone(), c, n);
                    for k in 0..N {
                        let to = self.to.add(k * self.x.c + c);
                        S::store_part(to, n, S::add(S::load_part(to, n), sums[k]));
                    }
                }
                c += S::LANES;
            }
        }
    }
}

/// A task that computes the mean of each channel over a range of pixels and the sum of squared deviations from it.
struct Moments<'a> {
    x: &'a Map<'a>,
    range: Range<usize>,
    to: *mut f32,
}

impl Task for Moments<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (all, start) = (self.x.c, self.range.start);
        let mut own = [0f32; MOST_LANES];
        for block in blocks(self.x, self.range) {
            let (before, count) = ((block.start - start) as f32, block.len() as f32);
            let mut c = 0;
            while c < all {
                let n = (all - c).min(S::LANES);
                // SAFETY: channels `c..c + n` of these pixels are in bounds of the map and of the results, which are zero-initialized.
                unsafe {
                    let (mean, squares) = (self.to.add(c), self.to.add(all + c));
                    let m = S::mul(sum::<S, _, 1>(&Value(self.x), block.clone(), c, n)[0], S::splat(1.0 / count));
                    S::store(own.as_mut_ptr(), m);
                    let [s] = sum::<S, _, 1>(&Square(self.x, &own), block.clone(), c, n);
                    let apart = S::sub(m, S::load_part(mean, n));
                    let share = S::splat(count / (before + count));
                    let moved = S::fma(apart, share, S::load_part(mean, n));
                    // In this order, the product is 0 if `before` is 0, even if the square of `apart` overflows.
                    let more = S::mul(apart, S::mul(apart, S::mul(share, S::splat(before))));
                    S::store_part(squares, n, S::add(S::load_part(squares, n), S::add(s, more)));
                    S::store_part(mean, n, moved);
                }
                c += S::LANES;
            }
        }
    }
}

struct Combine<'a> {
    x: &'a Map<'a>,
    z: &'a Map<'a>,
    y: &'a MapMut<'a>,
    by: [&'a [f32]; 3],
    range: Range<usize>,
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
                // SAFETY: channels `c..c + n` of the pixel are in bounds of all maps, and there is one factor per channel.
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
