//! Interpolation weights: the input positions that each position of a resized axis reads, with their weights.

/// Interpolation modes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Resize {
    /// Nearest neighbor: the pixel at `floor(i · in / out)`.
    Nearest,
    /// Bilinear, aligned at pixel centers (`align_corners=False`).
    Bilinear,
    /// Bilinear, with a wider support when downsampling (`antialias=True`).
    BilinearAntialias,
    /// Bilinear, aligned at the corner pixels (`align_corners=True`).
    BilinearCorners,
}

/// The range of input positions that one output position reads, and their weights.
pub(super) struct Tap {
    pub first: usize,
    pub weights: Vec<f64>,
}

/// For each of `out` output positions, the input positions that it reads on an axis of `size` positions.
pub(super) fn taps(size: usize, out: usize, mode: Resize) -> Vec<Tap> {
    let scale = size as f64 / out as f64;
    (0..out)
        .map(|i| match mode {
            Resize::Nearest => Tap { first: i * size / out, weights: vec![1.0] },
            Resize::Bilinear => between(((i as f64 + 0.5) * scale - 0.5).max(0.0), size),
            Resize::BilinearCorners if out == 1 => between(0.0, size),
            Resize::BilinearCorners => between(i as f64 * (size as f64 - 1.0) / (out as f64 - 1.0), size),
            Resize::BilinearAntialias => triangle((i as f64 + 0.5) * scale, scale.max(1.0), size),
        })
        .collect()
}

fn between(place: f64, size: usize) -> Tap {
    let first = (place as usize).min(size - 1);
    let part = place - first as f64;
    if first + 1 < size { Tap { first, weights: vec![1.0 - part, part] } } else { Tap { first, weights: vec![1.0] } }
}

/// A triangle of half-width `support` around `center`, truncated at the borders of the axis and normalized to sum to 1.
fn triangle(center: f64, support: f64, size: usize) -> Tap {
    let first = (center - support + 0.5).max(0.0) as usize;
    let end = ((center + support + 0.5) as usize).min(size).max(first + 1);
    let weight = |j: usize| (1.0 - ((j as f64 + 0.5 - center) / support).abs()).max(0.0);
    let weights: Vec<_> = (first..end).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    Tap { first, weights: weights.iter().map(|w| w / sum).collect() }
}
