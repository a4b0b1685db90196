//! Figures as pixels: the colours of maps, and what their least and greatest colour stand for.

use crate::render::{Array, Body, Figure, Scale};
use image::{Rgb, RgbImage};

/// Colours that maps can be drawn in.
pub const COLORS: &[&str] = &["viridis", "inferno", "coolwarm", "gray"];

/// A figure as pixels, in its own colours or these; none for one that is no picture.
pub fn pixels(figure: &Figure, colors: &str) -> Option<RgbImage> {
    match &figure.body {
        Body::Image { pixels } => Some(picture(pixels)),
        Body::Map { values, scale, over } => {
            let map = map(&plane(values), *scale, colors);
            Some(over.as_ref().map_or_else(|| map.clone(), |over| blend(&picture(over), &map)))
        }
        Body::Montage { tiles, scale } => Some(map(tiles, *scale, colors)),
        _ => None,
    }
}

/// What the least and the greatest colour stand for; none for a figure that is no map.
pub fn bounds(figure: &Figure) -> Option<(f32, f32)> {
    match &figure.body {
        Body::Map { values, scale, .. } => Some(limits(&plane(values), *scale)),
        Body::Montage { tiles, scale } => Some(limits(tiles, *scale)),
        _ => None,
    }
}

/// The colour at a share of the way from the least to the greatest.
pub fn color(figure: &Figure, colors: &str, share: f32) -> [u8; 3] {
    let scale = match &figure.body {
        Body::Map { scale, .. } | Body::Montage { scale, .. } => *scale,
        _ => Scale::Range,
    };
    shade(anchors(scale, colors), share)
}

fn map(values: &Array, scale: Scale, colors: &str) -> RgbImage {
    let (low, high) = limits(values, scale);
    let anchors = anchors(scale, colors);
    let size = |back: usize| values.shape.len().checked_sub(back).map_or(1, |i| values.shape[i]) as u32;
    RgbImage::from_fn(size(1), size(2), |x, y| {
        let value = values.data[(y * size(1) + x) as usize];
        Rgb(shade(anchors, (value - low) / (high - low).max(f32::MIN_POSITIVE)))
    })
}

/// Channels summed.
fn plane(values: &Array) -> Array {
    let [.., h, w] = values.shape[..] else { return values.clone() };
    let mut sum = vec![0.0; h * w];
    for channel in values.data.chunks_exact((h * w).max(1)) {
        sum.iter_mut().zip(channel).for_each(|(s, v)| *s += v);
    }
    Array { shape: vec![h, w], data: sum.into() }
}

fn limits(values: &Array, scale: Scale) -> (f32, f32) {
    let (low, high) = values.range();
    match scale {
        Scale::Range => (low, high),
        Scale::Positive => (0.0, high.max(0.0)),
        Scale::Percentile => {
            let mut sorted: Vec<f32> = values.data.iter().copied().filter(|v| v.is_finite()).collect();
            sorted.sort_by(f32::total_cmp);
            (0.0, sorted.get(sorted.len() * 99 / 100).copied().unwrap_or(0.0))
        }
        Scale::Symmetric => (-low.abs().max(high.abs()), low.abs().max(high.abs())),
        Scale::Fixed(low, high) => (low, high),
    }
}

fn picture(pixels: &Array) -> RgbImage {
    let [c, h, w] = pixels.shape[..] else { return RgbImage::new(1, 1) };
    let at = |channel: usize, x: u32, y: u32| {
        let value = pixels.data[(channel.min(c - 1) * h + y as usize) * w + x as usize];
        (value.clamp(0.0, 1.0) * 255.0).round() as u8
    };
    RgbImage::from_fn(w as u32, h as u32, |x, y| Rgb([at(0, x, y), at(1, x, y), at(2, x, y)]))
}

fn blend(below: &RgbImage, map: &RgbImage) -> RgbImage {
    let (w, h) = below.dimensions();
    let map = image::imageops::resize(map, w, h, image::imageops::FilterType::Triangle);
    RgbImage::from_fn(w, h, |x, y| {
        let (a, b) = (below.get_pixel(x, y).0, map.get_pixel(x, y).0);
        Rgb([0, 1, 2].map(|i| ((u16::from(a[i]) + u16::from(b[i])) / 2) as u8))
    })
}

fn anchors(scale: Scale, colors: &str) -> &'static [[u8; 3]] {
    match (colors, scale) {
        ("gray", _) => &[[0, 0, 0], [255, 255, 255]],
        ("inferno", _) => &[[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]],
        ("viridis", _) | ("", Scale::Range | Scale::Positive | Scale::Percentile | Scale::Fixed(..)) => {
            &[[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]
        }
        _ => &[[59, 76, 192], [141, 176, 254], [221, 221, 221], [244, 152, 122], [180, 4, 38]],
    }
}

fn shade(anchors: &[[u8; 3]], share: f32) -> [u8; 3] {
    let place = share.clamp(0.0, 1.0) * (anchors.len() - 1) as f32;
    let from = (place as usize).min(anchors.len() - 2);
    let (a, b, t) = (anchors[from], anchors[from + 1], place - from as f32);
    [0, 1, 2].map(|i| (f32::from(a[i]) * (1.0 - t) + f32::from(b[i]) * t).round() as u8)
}
