//! Conversion between channels-first and channels-last layouts.

use crate::map::{Map, MapMut};
use crate::packed::SharedPtr;
use crate::simd::{self, Simd, Task};
use crate::thread_team;
use crate::transpose::transpose;
use std::ops::Range;

/// Number of pixels that are transposed at once.
const SIDE: usize = 16;
/// Number of elements per task.
const GRAIN: usize = 1 << 14;

/// Copies `x`, `(N, C, H, W)`, to the channels-last feature maps `y`.
///
/// # Panics
/// If the sizes of `x` and `y` differ.
pub fn to_channels_last(x: &[f32], y: &mut MapMut) {
    let (pixels, c) = (y.h * y.w, y.c);
    assert!(x.len() == y.n * c * pixels, "a slice of {} elements does not match {y:?}", x.len());
    // Only `y` is written.
    let first = SharedPtr(x.as_ptr().cast_mut());
    turn::<true>(first, (SharedPtr(y.at), y.pitch), [y.n, pixels, c]);
}

/// Like [`to_channels_last`], but applies a scale and a shift per channel. Efficient only for a small number of channels.
///
/// # Panics
/// If `x` and `y` differ in size, or `scale` or `shift` do not have one element per channel.
pub fn to_channels_last_scaled(x: &[f32], y: &mut MapMut, scale: &[f32], shift: &[f32]) {
    let (pixels, c, pitch) = (y.h * y.w, y.c, y.pitch);
    assert!(
        x.len() == y.n * c * pixels && scale.len() == c && shift.len() == c,
        "a slice of {} elements does not match {y:?}",
        x.len()
    );
    let at = SharedPtr(y.at);
    thread_team::ranges(y.n * pixels, GRAIN / c.max(1) + 1, |range| {
        let mut start = range.start;
        while start < range.end {
            let (n, p) = (start / pixels, start % pixels);
            let count = (pixels - p).min(range.end - start);
            for k in 0..c {
                let from = &x[(n * c + k) * pixels + p..][..count];
                let (a, b) = (scale[k], shift[k]);
                for (i, v) in from.iter().enumerate() {
                    // SAFETY: each pixel lies inside the map and is written by one task.
                    unsafe { *at.get().add((start + i) * pitch + k) = a * v + b };
                }
            }
            start += count;
        }
    });
}

/// Copies the channels-last feature maps `x` to `y`, `(N, C, H, W)`.
///
/// # Panics
/// If the sizes of `x` and `y` differ.
pub fn to_channels_first(x: &Map, y: &mut [f32]) {
    let (pixels, c) = (x.h * x.w, x.c);
    assert!(y.len() == x.n * c * pixels, "a slice of {} elements does not match {x:?}", y.len());
    // Only `y` is written.
    turn::<false>(SharedPtr(y.as_mut_ptr()), (SharedPtr(x.at.cast_mut()), x.pitch), [x.n, pixels, c]);
}

/// Copies the channels-first maps at `first` to the channels-last maps at `last` or, unless `TO_LAST`, in the opposite direction.
fn turn<const TO_LAST: bool>(first: SharedPtr, last: (SharedPtr, usize), [n, pixels, c]: [usize; 3]) {
    let blocks = pixels.div_ceil(SIDE);
    thread_team::ranges(n * blocks, GRAIN / (SIDE * c).max(1) + 1, |range| {
        let last = (last.0.get(), last.1);
        simd::run(Turn::<TO_LAST> { first: first.get(), last, pixels, c, blocks, range });
    });
}

/// A task that copies some blocks of pixels.
struct Turn<const TO_LAST: bool> {
    first: *mut f32,
    /// The channels-last maps, and the stride between their pixels.
    last: (*mut f32, usize),
    /// Number of pixels per picture.
    pixels: usize,
    c: usize,
    /// Number of blocks per picture.
    blocks: usize,
    range: Range<usize>,
}

impl<const TO_LAST: bool> Task for Turn<TO_LAST> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let ((last, pitch), pixels, c) = (self.last, self.pixels, self.c);
        for i in self.range {
            let (n, p) = (i / self.blocks, i % self.blocks * SIDE);
            let count = SIDE.min(pixels - p);
            // SAFETY: the callers of `turn` checked that all pixels lie inside both maps; each pixel belongs to one task. Without channels,
            // there is nothing at `first`.
            unsafe {
                let (first, last) = (self.first.wrapping_add(n * c * pixels + p), last.add((n * pixels + p) * pitch));
                if TO_LAST {
                    transpose::<S>((first, pixels), (last, pitch), (c, count));
                } else {
                    transpose::<S>((last, pitch), (first, pixels), (count, c));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforming_back_restores_the_pixels() {
        for [n, h, w, c] in [[1, 1, 1, 1], [2, 5, 7, 3], [1, 32, 20, 40], [3, 16, 16, 33], [1, 224, 224, 3]] {
            // Miri takes about 1 µs per instruction.
            if cfg!(miri) && n * h * w * c > 50_000 {
                continue;
            }
            let x: Vec<f32> = (0..n * h * w * c).map(|i| i as f32).collect();
            let pitch = c + 2;
            let mut last = vec![-1f32; n * h * w * pitch];
            to_channels_last(&x, &mut MapMut::new(&mut last, [n, h, w, c], pitch));
            for (i, v) in last.iter().enumerate() {
                let (p, k) = (i / pitch, i % pitch);
                let from = |c: usize| x[(p / (h * w) * c + k) * h * w + p % (h * w)];
                assert!(*v == if k < c { from(c) } else { -1.0 }, "{i} of {n}x{h}x{w}x{c}");
            }
            let mut back = vec![0f32; x.len()];
            to_channels_first(&Map::new(&last, [n, h, w, c], pitch), &mut back);
            assert!(back == x);
        }
    }
}
