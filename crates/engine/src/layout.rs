//! Conversion between channels-first and channels-last layouts.

use crate::map::{Map, MapMut};
use crate::packed::SharedPtr;
use crate::thread_team;

/// Side length of the square blocks that are transposed at once.
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
    let (at, pitch) = (SharedPtr(y.at), y.pitch);
    let blocks = pixels.div_ceil(SIDE);
    thread_team::ranges(y.n * blocks, GRAIN / (SIDE * c).max(1) + 1, |range| {
        for i in range {
            let (n, p) = (i / blocks, i % blocks * SIDE);
            let count = SIDE.min(pixels - p);
            for start in (0..c).step_by(SIDE) {
                let channels = SIDE.min(c - start);
                let from = &x[(n * c + start) * pixels + p..];
                // SAFETY: each pixel lies inside the map and is written by one task.
                unsafe {
                    transpose(from, pixels, at.get().add((n * pixels + p) * pitch + start), pitch, channels, count)
                };
            }
        }
    });
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
    let at = SharedPtr(y.as_mut_ptr());
    let blocks = pixels.div_ceil(SIDE);
    thread_team::ranges(x.n * blocks, GRAIN / (SIDE * c).max(1) + 1, |range| {
        for i in range {
            let (n, p) = (i / blocks, i % blocks * SIDE);
            let count = SIDE.min(pixels - p);
            for start in (0..c).step_by(SIDE) {
                let channels = SIDE.min(c - start);
                // SAFETY: the map holds these pixels, and each pixel is written by one task.
                unsafe {
                    let from = x.at.add((n * pixels + p) * x.pitch + start);
                    let from = std::slice::from_raw_parts(from, (count - 1) * x.pitch + channels);
                    transpose(from, x.pitch, at.get().add((n * c + start) * pixels + p), pixels, count, channels);
                }
            }
        }
    });
}

/// Transposes a matrix: `to[j][i] = from[i][j]` for `i < rows` and `j < columns`. `from_apart` and `to_apart` are the row
/// strides.
///
/// # Safety
/// `to` must be valid for writes of `columns` rows of `rows` elements with a row stride of `to_apart`.
#[inline]
unsafe fn transpose(from: &[f32], from_apart: usize, to: *mut f32, to_apart: usize, rows: usize, columns: usize) {
    // SAFETY: `i` is below `rows` and `j` below `columns`; indexing `from` is bounds-checked.
    unsafe {
        if rows == SIDE && columns == SIDE {
            let mut square = [[0f32; SIDE]; SIDE];
            for (i, row) in square.iter_mut().enumerate() {
                row.copy_from_slice(&from[i * from_apart..][..SIDE]);
            }
            for j in 0..SIDE {
                let to = to.add(j * to_apart).cast::<[f32; SIDE]>();
                to.write_unaligned(std::array::from_fn(|i| square[i][j]));
            }
            return;
        }
        for i in 0..rows {
            let row = &from[i * from_apart..][..columns];
            for (j, v) in row.iter().enumerate() {
                *to.add(j * to_apart + i) = *v;
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
