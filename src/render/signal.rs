//! Draws signals (arrays with a single row) as on an oscilloscope: the samples as a trace, and a heatmap as background colors.

use super::colormap::NOT_FINITE;
use super::figure::{Array, Scale};
use super::scale::Range;
use image::{Rgb, RgbImage};

/// Aspect ratio of a drawn signal, width over height.
const ASPECT: u32 = 3;
/// Maximum width in pixels. In longer signals, several samples share a column of pixels.
const MOST: usize = 3000;
/// Minimum width of a drawn signal in pixels.
const LEAST: usize = 600;
/// Minimum width in pixels of a signal drawn as a tile.
const LEAST_TILE: usize = 128;
const SCREEN: Rgb<u8> = Rgb([12, 18, 16]);
const SILENCE: Rgb<u8> = Rgb([48, 66, 58]);
const TRACE: Rgb<u8> = Rgb([120, 255, 170]);
/// Color of a trace drawn over a heatmap.
const OVER: Rgb<u8> = Rgb([255, 255, 255]);

/// Aspect ratio (width over height) at which an array is displayed. For a signal it is [`ASPECT`], because its actual shape is a
/// thin line.
pub(crate) fn aspect(shape: &[usize]) -> f64 {
    match shape {
        [.., 1, w] if *w > 1 => f64::from(ASPECT),
        [.., h, w] if *h > 0 && *w > 0 => *w as f64 / *h as f64,
        _ => 1.0,
    }
}

/// Whether an array is a signal: one row of several values.
pub(super) fn is_signal(values: &Array) -> bool {
    matches!(values.shape[..], [.., 1, w] if w > 1)
}

/// Draws the first channel of a signal `(C, 1, W)` in `[0, 1]` as a trace over a background colored by `columns` from left to
/// right.
pub(super) fn scope(signal: Option<&Array>, columns: Option<&[Rgb<u8>]>) -> RgbImage {
    let values = signal.map(|s| &s.data[..s.shape.last().copied().unwrap_or(0).min(s.data.len())]).unwrap_or_default();
    trace(values, columns, LEAST)
}

/// Draws K signals as color tiles `(K, 3, h, w)`. Without a common `range`, each tile is scaled separately by `scale`.
pub(super) fn traces(tiles: &Array, range: Option<Range>, scale: Scale) -> Array {
    let count = tiles.shape[0];
    let tile = |values: &[f32]| {
        let range = range.unwrap_or_else(|| Range::of(values, scale));
        let first = &values[..values.len().min(tiles.shape[tiles.shape.len() - 1])];
        trace(&first.iter().map(|&v| range.place(v)).collect::<Vec<_>>(), None, LEAST_TILE)
    };
    let images: Vec<_> = tiles.data.chunks_exact((tiles.data.len() / count.max(1)).max(1)).map(tile).collect();
    let (w, h) = images.first().map_or((1, 1), RgbImage::dimensions);
    let planes =
        images.iter().flat_map(|image| (0..3).flat_map(|c| image.pixels().map(move |p| f32::from(p.0[c]) / 255.0)));
    Array { shape: vec![images.len(), 3, h as usize, w as usize], data: planes.collect(), exact: None }
}

/// Draws values in `[0, 1]` as a trace from left to right, over a background colored by `columns`.
fn trace(values: &[f32], columns: Option<&[Rgb<u8>]>, least: usize) -> RgbImage {
    let count = values.len().max(columns.map_or(0, <[_]>::len)).max(1);
    let width = (count * least.div_ceil(count)).min(MOST) as u32;
    let height = width / ASPECT;
    let shared = |x: u32, of: usize| x as usize * of / width as usize..((x as usize + 1) * of).div_ceil(width as usize);
    let behind = |columns: &[Rgb<u8>], x: u32| {
        let part = &columns[shared(x, columns.len())];
        *part.iter().find(|color| **color == NOT_FINITE).unwrap_or(&part[0])
    };
    let behind: Option<Vec<_>> = columns.map(|columns| (0..width).map(|x| behind(columns, x)).collect());
    let mut image = RgbImage::from_fn(width, height, |x, y| match &behind {
        Some(behind) => behind[x as usize],
        None if y == height / 2 => SILENCE,
        None => SCREEN,
    });
    let color = if columns.is_some() { OVER } else { TRACE };
    let place = |v: f32| ((1.0 - v.clamp(0.0, 1.0)) * (height - 1) as f32).round() as u32;
    let at = |x: u32| (x as f32 + 0.5) / width as f32 * values.len() as f32 - 0.5;
    let mut before = None;
    for x in (0..width).filter(|_| !values.is_empty()) {
        let (low, high) = match values.len() > width as usize {
            true => extremes(&values[shared(x, values.len())]),
            false => between(values, at(x)).map(|v| (v, v)),
        }
        .map_or((None, None), |(low, high)| (Some(place(low)), Some(place(high))));
        let (Some(bottom), Some(top)) = (low, high) else {
            (0..height).for_each(|y| image.put_pixel(x, y, NOT_FINITE));
            before = None;
            continue;
        };
        let from = before.unwrap_or(bottom);
        for y in from.min(top)..=(from.max(bottom) + 2).min(height - 1) {
            image.put_pixel(x, y, color);
        }
        before = Some(bottom);
    }
    image
}

/// Minimum and maximum of `values`; `None` if any value is not finite.
fn extremes(values: &[f32]) -> Option<(f32, f32)> {
    let wider = |(low, high): (f32, f32), v: &f32| (low.min(*v), high.max(*v));
    let all = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), wider);
    values.iter().all(|v| v.is_finite()).then_some(all)
}

/// Value at the fractional index `at`, linearly interpolated between samples; `None` if the result is not finite.
fn between(values: &[f32], at: f32) -> Option<f32> {
    let at = at.clamp(0.0, (values.len() - 1) as f32);
    let (low, part) = (at.floor() as usize, at.fract());
    let value = values[low] + part * (values[(low + 1).min(values.len() - 1)] - values[low]);
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lit(image: &RgbImage, x: u32, color: Rgb<u8>) -> Vec<u32> {
        (0..image.height()).filter(|&y| *image.get_pixel(x, y) == color).collect()
    }

    #[test]
    fn a_trace_spans_the_range_from_low_to_high() {
        let image = scope(Some(&Array::new(vec![1, 1, 2], vec![0.0, 1.0]).unwrap()), None);
        assert_eq!(image.dimensions(), (600, 200));
        assert_eq!(lit(&image, 10, TRACE), [199]);
        assert_eq!(lit(&image, 599, TRACE), [0, 1, 2]);
    }

    #[test]
    fn a_long_signal_keeps_its_peaks_in_a_picture_of_bounded_size() {
        let mut values = vec![0.0; 100_000];
        (values[40_000], values[70_000]) = (1.0, f32::NAN);
        let image = scope(Some(&Array::new(vec![1, 1, 100_000], values).unwrap()), None);
        assert_eq!(image.dimensions(), (3000, 1000));
        assert_eq!(lit(&image, 1200, TRACE).len(), 1000, "the peak is a line from top to bottom");
        assert_eq!(lit(&image, 1190, TRACE), [999]);
        assert_eq!(lit(&image, 2100, NOT_FINITE).len(), 1000);
        let columns: Vec<_> = (0..100_000).map(|i| if i == 55_555 { NOT_FINITE } else { SCREEN }).collect();
        assert!(scope(None, Some(&columns)).pixels().any(|p| *p == NOT_FINITE));
    }

    #[test]
    fn tiles_are_traces_on_one_range() {
        let tiles = Array::new(vec![2, 1, 3], vec![0.0, 0.0, 0.0, 4.0, 4.0, 4.0]).unwrap();
        let traces = traces(&tiles, Some(Range::of(&tiles.data, Scale::Range)), Scale::Range);
        assert_eq!(traces.shape, [2, 3, 43, 129]);
        let green = |tile: usize, y: usize| traces.data[((tile * 3 + 1) * 43 + y) * 129 + 60];
        assert_eq!((green(0, 42), green(0, 0) < 0.2, green(1, 0)), (1.0, true, 1.0));
    }

    #[test]
    fn a_map_colors_the_background_of_the_trace() {
        let (red, blue) = (Rgb([200, 0, 0]), Rgb([0, 0, 200]));
        let signal = Array::new(vec![1, 1, 4], vec![0.5, 0.5, f32::NAN, 0.5]).unwrap();
        let image = scope(Some(&signal), Some(&[red, blue]));
        assert_eq!((*image.get_pixel(0, 0), *image.get_pixel(599, 0)), (red, blue));
        assert!(lit(&image, 375, OVER).is_empty());
    }
}
