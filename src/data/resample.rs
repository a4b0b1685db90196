//! Antialiased resizing, identical to Pillow's, which torchvision's `Resize` calls.
//!
//! Pixels are weighted by a filter that widens with the scale factor, first along rows, then along columns. Bytes use fixed-point
//! weights and are rounded after each pass.

use super::interpolation::Interpolation;
use crate::memory::reserve;
use anyhow::Result;
use std::ops::Range;

/// Samples of a picture, channels last: `data[(y * width + x) * channels + c]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid<T> {
    /// Number of rows of pixels.
    pub height: usize,
    /// Number of columns of pixels.
    pub width: usize,
    /// Samples per pixel.
    pub channels: usize,
    /// The `height · width · channels` samples.
    pub data: Vec<T>,
}

/// A sample type, with the arithmetic for weighted sums of samples.
pub trait Sample: Copy + Default {
    /// Type of the weights of samples.
    type Weight: Copy;
    /// Converts an exact weight to [`Sample::Weight`].
    fn weight(exact: f64) -> Self::Weight;
    /// The weighted sum of pairs of a sample and its weight.
    fn mix(terms: impl Iterator<Item = (Self, Self::Weight)>) -> Self;
}

/// Number of fractional bits of the weights for bytes; two bits are left as headroom for the sum.
const PRECISION: u32 = 32 - 8 - 2;

impl Sample for u8 {
    type Weight = i32;

    fn weight(exact: f64) -> i32 {
        (exact * f64::from(1 << PRECISION)).round() as i32
    }

    fn mix(terms: impl Iterator<Item = (u8, i32)>) -> u8 {
        let half = 1 << (PRECISION - 1);
        let sum = terms.fold(half, |sum, (v, w)| sum + i32::from(v) * w);
        (sum >> PRECISION).clamp(0, 255) as u8
    }
}

impl Sample for f32 {
    type Weight = f64;

    fn weight(exact: f64) -> f64 {
        exact
    }

    fn mix(terms: impl Iterator<Item = (f32, f64)>) -> f32 {
        terms.map(|(v, w)| f64::from(v) * w).sum::<f64>() as f32
    }
}

/// Resizes `picture` to `height` x `width` and returns the part `rows` x `columns` of the result; the rest is not computed. Values
/// other than bytes are not clamped, so [some methods](Interpolation::overshoots) may exceed the range of the picture's values.
///
/// Errors if there is not enough memory for the result of the first pass, which is large if `picture` is very tall.
pub fn resample<T: Sample>(
    picture: &Grid<T>,
    (height, width): (usize, usize),
    (rows, columns): (Range<usize>, Range<usize>),
    method: Interpolation,
) -> Result<Grid<T>> {
    let read = read(picture.height, height, &rows, method);
    let between = read.len().saturating_mul(columns.len()).saturating_mul(picture.channels * size_of::<T>());
    // The width of a window is the scale factor times twice the support.
    let around = 2 * (method.support() as usize).max(1);
    let along =
        |input: usize, output: usize, wanted: &Range<usize>| around * wanted.len() * input.div_ceil(output.max(1));
    let weights = along(picture.height, height, &rows) + along(picture.width, width, &columns);
    reserve(between.saturating_add(weights * size_of::<T::Weight>()), || {
        format!("scaling a picture of {}x{} pixels", picture.width, picture.height)
    })?;
    let down = windows::<T>(picture.height, height, rows, method);
    let across = windows::<T>(picture.width, width, columns, method);
    let narrow = scale_rows(picture, read.clone(), &across);
    Ok(scale_columns(&narrow, read.start, &down))
}

/// The range of input samples that contribute to one output sample along one axis, and their weights.
struct Window<W> {
    start: usize,
    weights: Vec<W>,
}

/// The range of input samples that contribute to output sample `out` when `input` samples are resized to `output`.
fn reach(input: usize, output: usize, out: usize, method: Interpolation) -> Range<usize> {
    if input == output {
        return out..out + 1;
    }
    let scale = input as f64 / output as f64;
    let (center, support) = ((out as f64 + 0.5) * scale, method.support() * scale.max(1.0));
    if support == 0.0 {
        let nearest = (added_up(scale, out) as usize).min(input - 1);
        return nearest..nearest + 1;
    }
    (center - support + 0.5).max(0.0) as usize..((center + support + 0.5) as usize).min(input)
}

/// The center of output sample `out`, summed step by step as in Pillow's nearest-neighbor filter, so that ties between two pixels
/// are broken in the same way.
fn added_up(scale: f64, out: usize) -> f64 {
    (0..out).fold(0.5 * scale, |center, _| center + scale)
}

/// The range of input samples that contribute to any of the output samples `wanted`.
fn read(input: usize, output: usize, wanted: &Range<usize>, method: Interpolation) -> Range<usize> {
    let reach = |out| reach(input, output, out, method);
    match wanted.is_empty() {
        true => 0..0,
        false => reach(wanted.start).start..reach(wanted.end - 1).end,
    }
}

/// The windows of the output samples `wanted` when `input` samples are resized to `output`.
fn windows<T: Sample>(
    input: usize,
    output: usize,
    wanted: Range<usize>,
    method: Interpolation,
) -> Vec<Window<T::Weight>> {
    if input == output {
        return wanted.map(|start| Window { start, weights: vec![T::weight(1.0)] }).collect();
    }
    let scale = input as f64 / output as f64;
    if method.support() == 0.0 {
        let centers = std::iter::successors(Some(added_up(scale, wanted.start)), |center| Some(center + scale));
        let window = |center: f64| Window { start: (center as usize).min(input - 1), weights: vec![T::weight(1.0)] };
        return centers.take(wanted.len()).map(window).collect();
    }
    let wider = scale.max(1.0);
    let window = |out: usize| {
        let center = (out as f64 + 0.5) * scale;
        let Range { start, end } = reach(input, output, out, method);
        let weight = |i: usize| method.filter((i as f64 - center + 0.5) / wider);
        let total: f64 = (start..end).map(weight).sum();
        Window { start, weights: (start..end).map(|i| T::weight(weight(i) / total)).collect() }
    };
    wanted.map(window).collect()
}

fn scale_rows<T: Sample>(picture: &Grid<T>, rows: Range<usize>, across: &[Window<T::Weight>]) -> Grid<T> {
    let Grid { width, channels, .. } = *picture;
    let mut data = Vec::with_capacity(rows.len() * across.len() * channels);
    for y in rows.clone() {
        let row = &picture.data[y * width * channels..(y + 1) * width * channels];
        for window in across {
            let pixels = &row[window.start * channels..];
            for c in 0..channels {
                let samples = pixels[c..].iter().step_by(channels).copied();
                data.push(T::mix(samples.zip(window.weights.iter().copied())));
            }
        }
    }
    Grid { height: rows.len(), width: across.len(), channels, data }
}

/// Resizes the columns of a picture that holds only some rows of the original, starting with row `first`.
fn scale_columns<T: Sample>(picture: &Grid<T>, first: usize, down: &[Window<T::Weight>]) -> Grid<T> {
    let stride = picture.width * picture.channels;
    let mut data = Vec::with_capacity(down.len() * stride);
    for window in down {
        let rows = &picture.data[(window.start - first) * stride..];
        for x in 0..stride {
            let samples = rows[x..].iter().step_by(stride).copied();
            data.push(T::mix(samples.zip(window.weights.iter().copied())));
        }
    }
    Grid { height: down.len(), width: picture.width, channels: picture.channels, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole<T: Sample>(picture: &Grid<T>, height: usize, width: usize) -> Grid<T> {
        resample(picture, (height, width), (0..height, 0..width), Interpolation::Bilinear).unwrap()
    }

    fn ramp(height: usize, width: usize) -> Grid<f32> {
        let data = (0..height * width * 2).map(|i| (i * 37 % 101) as f32 / 101.0).collect();
        Grid { height, width, channels: 2, data }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let picture = ramp(5, 7);
        assert_eq!(whole(&picture, 5, 7), picture);
    }

    #[test]
    fn a_flat_picture_stays_flat_at_every_size() {
        let gray = Grid { height: 6, width: 9, channels: 1, data: vec![131u8; 54] };
        for (height, width) in [(1, 1), (3, 20), (17, 4), (12, 18)] {
            for method in Interpolation::ALL {
                let scaled = resample(&gray, (height, width), (0..height, 0..width), method).unwrap();
                assert!(scaled.data.iter().all(|&v| v == 131), "{method} to {height}x{width}");
            }
        }
    }

    #[test]
    fn halving_weights_four_neighbors_with_a_triangle() {
        let row = Grid { height: 1, width: 8, channels: 1, data: vec![0.0f32, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 0.0] };
        assert_eq!(whole(&row, 1, 4).data, [0.0, 3.0, 1.0, 0.0]);
    }

    #[test]
    fn a_part_equals_that_part_of_the_whole_scaled_picture() {
        let picture = ramp(23, 31);
        for method in Interpolation::ALL {
            let all = resample(&picture, (11, 40), (0..11, 0..40), method).unwrap();
            let part = resample(&picture, (11, 40), (3..8, 10..25), method).unwrap();
            for (y, x) in [(0, 0), (4, 14), (2, 7)] {
                let (here, there) = ((y * 15 + x) * 2, ((y + 3) * 40 + x + 10) * 2);
                assert_eq!(part.data[here..here + 2], all.data[there..there + 2], "{method}");
            }
        }
    }

    #[test]
    fn a_picture_too_large_to_scale_in_memory_is_an_error_before_scaling() {
        let method = Interpolation::Bilinear;
        let tall = Grid { height: 90_000_000, width: 1, channels: 1, data: vec![0u8; 90_000_000] };
        let why = resample(&tall, (28, 1 << 20), (0..28, 0..1 << 20), method).err().unwrap().to_string();
        assert!(why.contains("scaling a picture of 1x90000000 pixels"), "{why}");
        // A small part needs only a few rows of the picture, however tall it is.
        let part = resample(&tall, (90_000_000 * 224, 224), (0..224, 0..224), method).unwrap();
        assert_eq!((part.height, part.width), (224, 224));
    }
}
