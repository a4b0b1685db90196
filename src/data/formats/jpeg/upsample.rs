//! Upsamples components to full size with the filters of libjpeg-turbo's `jdsample.c` ("fancy upsampling").

use super::scan::Samples;
use anyhow::{Result, ensure};

/// Upsamples a component to one sample per pixel of a `(width, height)` picture.
///
/// Uses triangle filters if the component has half the samples in one or both directions; otherwise, samples are repeated. The
/// width of a component that is at most 2 samples wide is never doubled with a filter. Errors if the sampling factors of the
/// component do not divide `largest`.
pub fn to_full_size(samples: &Samples, (width, height): (usize, usize), largest: (usize, usize)) -> Result<Vec<u8>> {
    let (h, v) = samples.factors;
    ensure!(
        largest.0.is_multiple_of(h) && largest.1.is_multiple_of(v),
        "the sampling factors {h}x{v} of a component do not divide the maximum factors, {largest:?}"
    );
    let (across, down) = (largest.0 / h, largest.1 / v);
    let (columns, rows) = (width.div_ceil(across), height.div_ceil(down));
    let row = |y: usize| &samples.values[y.min(rows - 1) * samples.stride..][..columns];
    let smooth = columns > 2;
    let mut full = Vec::with_capacity(width * height);
    let mut line = Vec::with_capacity(columns * across);
    for y in 0..height {
        let (here, lower) = (row(y / down), y % 2 == 1);
        let beside = || if lower { row(y / 2 + 1) } else { row((y / 2).saturating_sub(1)) };
        line.clear();
        match (across, down) {
            (2, 1) if smooth => double(here, &mut line),
            (1, 2) => line.extend(here.iter().zip(beside()).map(|(&a, &b)| between(a, b, lower))),
            (2, 2) if smooth => double_both(here, beside(), &mut line),
            _ => line.extend(here.iter().flat_map(|&sample| std::iter::repeat_n(sample, across))),
        }
        full.extend_from_slice(&line[..width]);
    }
    Ok(full)
}

/// Weighted mean of two samples: three quarters of `near` plus a quarter of `far`; `up` selects the rounding direction.
fn between(near: u8, far: u8, up: bool) -> u8 {
    ((3 * u16::from(near) + u16::from(far) + 1 + u16::from(up)) / 4) as u8
}

/// `h2v1_fancy_upsample`: doubles a row horizontally.
fn double(row: &[u8], line: &mut Vec<u8>) {
    let last = row.len() - 1;
    for (i, &sample) in row.iter().enumerate() {
        line.push(if i == 0 { sample } else { between(sample, row[i - 1], false) });
        line.push(if i == last { sample } else { between(sample, row[i + 1], true) });
    }
}

/// `h2v2_fancy_upsample`: doubles a row vertically without rounding, then horizontally.
fn double_both(near: &[u8], far: &[u8], line: &mut Vec<u8>) {
    let sum = |i: usize| 3 * u16::from(near[i]) + u16::from(far[i]);
    let last = near.len() - 1;
    for i in 0..near.len() {
        let (left, right) = (sum(i.saturating_sub(1)), sum((i + 1).min(last)));
        line.push(((3 * sum(i) + left + 8) / 16) as u8);
        line.push(((3 * sum(i) + right + 7) / 16) as u8);
    }
}
