//! Figures as pictures.

use super::chart;
use super::colormap::{Colormap, NOT_FINITE};
use super::figure::{Array, Body, Figure, Scale};
use super::scale::{Range, range};
use super::signal::{is_signal, scope, traces};
use super::tint::Tint;
use super::wall::Wall;
use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};

/// Maps smaller than this are enlarged, so that their cells are seen.
const LEAST: u32 = 128;

/// A figure as a picture, maps in the colours of `tint` unless their zero stands in the middle; none for words and tables.
pub fn paint(figure: &Figure, tint: impl Into<Tint>) -> Option<RgbImage> {
    let Tint { colors, strength } = tint.into();
    match &figure.body {
        Body::Map { values, over, .. } => {
            let (values, range) = (plane(values), range(figure)?);
            let colors = if range.symmetric { Colormap::Coolwarm } else { colors };
            Some(match over {
                _ if is_signal(&values) => {
                    let columns: Vec<_> = map(&values, range, colors).pixels().copied().collect();
                    scope(over.as_ref().filter(|picture| is_signal(picture)), Some(&columns))
                }
                Some(picture) => overlay(&map(&values, range, colors), strength, &rgb(picture)?),
                None => enlarged(map(&values, range, colors), LEAST),
            })
        }
        Body::Image { pixels } if is_signal(pixels) => Some(scope(Some(pixels), None)),
        Body::Image { pixels } => rgb(pixels),
        Body::Montage { tiles, scale, columns, marked, captions, shown, frames, .. } => {
            let (range, signal) = (range(figure), is_signal(tiles));
            let drawn = if signal { &traces(tiles, range, *scale) } else { tiles };
            let range = if signal { Some(Range::of(&[0.0, 1.0], Scale::Range)) } else { range };
            let wall = Wall { tiles: drawn, scale: *scale, range, columns: *columns, captions, shown: *shown, frames };
            Some(wall.paint(*marked, colors))
        }
        Body::Line { .. } | Body::Bars { .. } | Body::Scatter { .. } | Body::Classes { .. } => {
            Some(chart::draw(figure))
        }
        Body::Table { .. } | Body::Sheet { .. } | Body::Text { .. } | Body::Badge { .. } => None,
    }
}

/// The colours of a figure's range from low to high, `width` pixels wide; grey for tiles in colour.
pub fn colorbar(figure: &Figure, colors: Colormap, width: u32) -> Option<Vec<Rgb<u8>>> {
    let in_color = matches!(&figure.body, Body::Montage { tiles, .. } if tiles.shape.len() == 4);
    let colors = match range(figure)?.symmetric {
        _ if in_color => Colormap::Gray,
        true => Colormap::Coolwarm,
        false => colors,
    };
    Some((0..width).map(|x| colors.color(x as f32 / (width - 1).max(1) as f32)).collect())
}

/// A map's values with leading dimensions summed away: `(H, W)`.
pub(super) fn plane(values: &Array) -> Array {
    let [.., h, w] = values.shape[..] else { return values.clone() };
    if values.data.len() == h * w {
        return Array { shape: vec![h, w], ..values.clone() };
    }
    let mut sum = vec![0f32; h * w];
    for map in values.data.chunks_exact((h * w).max(1)) {
        sum.iter_mut().zip(map).for_each(|(s, v)| *s += v);
    }
    Array { shape: vec![h, w], data: sum.into(), exact: None }
}

pub(super) fn map(values: &Array, range: Range, colors: Colormap) -> RgbImage {
    let (h, w) = (values.shape[0] as u32, values.shape[1] as u32);
    RgbImage::from_fn(w, h, |x, y| {
        let value = values.data[(y * w + x) as usize];
        colors.color(range.place(value))
    })
}

/// Colours over a picture in grey; where the map says nothing, the picture is seen, but not behind what is not finite.
fn overlay(map: &RgbImage, strength: f32, picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let mut image = resize(map, width, height, FilterType::Triangle);
    let (across, down) = (f64::from(map.width()) / f64::from(width), f64::from(map.height()) / f64::from(height));
    let bad = map.pixels().any(|p| *p == NOT_FINITE);
    for ((x, y, pixel), below) in image.enumerate_pixels_mut().zip(picture.pixels()) {
        let cell = || map.get_pixel((f64::from(x) * across) as u32, (f64::from(y) * down) as u32);
        if bad && *cell() == NOT_FINITE {
            *pixel = NOT_FINITE;
            continue;
        }
        let [r, g, b] = below.0.map(f32::from);
        let grey = 0.299 * r + 0.587 * g + 0.114 * b;
        pixel.0 = pixel.0.map(|c| (strength * f32::from(c) + (1.0 - strength) * grey).round() as u8);
    }
    image
}

pub(super) fn enlarged(image: RgbImage, least: u32) -> RgbImage {
    let times = least / image.width().max(image.height()).max(1);
    if times < 2 {
        return image;
    }
    resize(&image, image.width() * times, image.height() * times, FilterType::Nearest)
}

/// `(C, H, W)` in `[0, 1]` as a picture, channels that are no colours as their mean; what is no number is shown as that.
pub(super) fn rgb(pixels: &Array) -> Option<RgbImage> {
    let [channels, h, w] = pixels.shape[..] else { return None };
    let value = |c: usize, place: usize| pixels.data.get(c * h * w + place).copied();
    let at = |c: usize, place: usize| match channels {
        1 | 3 => value(c.min(channels - 1), place),
        _ => Some((0..channels).map(|c| value(c, place)).sum::<Option<f32>>()? / channels as f32),
    };
    let mut image = RgbImage::new(w as u32, h as u32);
    for (place, pixel) in image.pixels_mut().enumerate() {
        let values = [at(0, place)?, at(1, place)?, at(2, place)?];
        let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
        *pixel = if values.iter().all(|v| v.is_finite()) { Rgb(values.map(byte)) } else { NOT_FINITE };
    }
    Some(image)
}

#[cfg(test)]
mod tests {
    use super::super::wall::{GAP, MARK};
    use super::*;

    fn heatmap(data: Vec<f32>, scale: Scale, over: Option<Array>) -> Figure {
        let values = Array::new(vec![1, 1, 2, 2], data).unwrap();
        Figure { title: "t".into(), body: Body::Map { values, scale, over, note: String::new() } }
    }

    #[test]
    fn a_map_is_coloured_from_its_least_to_its_greatest_value() {
        let image = paint(&heatmap(vec![0.0, 1.0, 0.5, 0.0], Scale::Range, None), Colormap::Gray).unwrap();
        assert_eq!(image.dimensions(), (128, 128));
        assert_eq!(image.get_pixel(0, 0).0, [0, 0, 0]);
        assert_eq!(image.get_pixel(127, 0).0, [255, 255, 255]);
        assert_eq!(image.get_pixel(0, 127).0, [128, 128, 128]);
    }

    #[test]
    fn what_is_no_number_is_seen() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for scale in [Scale::Range, Scale::Symmetric, Scale::Percentile, Scale::Fixed(0.0, 1.0)] {
                let image = paint(&heatmap(vec![bad, 1.0, 0.5, 0.0], scale, None), Colormap::Gray).unwrap();
                assert_eq!(*image.get_pixel(0, 0), NOT_FINITE, "{bad} in {scale:?}");
                assert_ne!(*image.get_pixel(127, 0), NOT_FINITE);
            }
            let picture = Array::new(vec![3, 8, 8], vec![0.5; 192]).unwrap();
            let image = paint(&heatmap(vec![bad, 1.0, 0.5, 0.0], Scale::Range, Some(picture)), Colormap::Gray).unwrap();
            assert_eq!([(0, 0), (3, 3)].map(|(x, y)| *image.get_pixel(x, y)), [NOT_FINITE; 2]);
            let pixels = Array::new(vec![3, 1, 1], vec![0.0, bad, 0.0]).unwrap();
            assert_eq!(*rgb(&pixels).unwrap().get_pixel(0, 0), NOT_FINITE);
        }
    }

    #[test]
    fn channels_that_are_no_colours_are_seen_as_their_mean() {
        let pixels = Array::new(vec![2, 1, 1], vec![0.0, 1.0]).unwrap();
        assert_eq!(rgb(&pixels).unwrap().get_pixel(0, 0).0, [128; 3]);
    }

    #[test]
    fn an_overlay_has_the_size_of_its_picture() {
        let picture = Array::new(vec![3, 8, 6], vec![0.5; 144]).unwrap();
        let image = paint(&heatmap(vec![0.0; 4], Scale::Positive, Some(picture)), Colormap::Inferno).unwrap();
        assert_eq!(image.dimensions(), (6, 8));
    }

    #[test]
    fn channels_of_a_map_are_summed() {
        let values = Array::new(vec![2, 1, 2], vec![1.0, 2.0, 10.0, 20.0]).unwrap();
        assert_eq!(plane(&values).data[..], [11.0, 22.0]);
    }

    fn wall(count: usize, side: usize, marked: Option<usize>, each: bool, columns: usize) -> Figure {
        let data: Vec<f32> = (0..count * side * side).map(|i| (i / (side * side)) as f32).collect();
        let tiles = Array::new(vec![count, side, side], data).unwrap();
        Figure {
            title: "t".into(),
            body: Body::Montage {
                tiles,
                scale: Scale::Range,
                each,
                columns,
                marked,
                captions: vec![],
                shown: count,
                of: count,
                frames: vec![],
            },
        }
    }

    #[test]
    fn three_tiles_stand_in_a_grid_of_two_or_in_the_columns_asked_for() {
        let size = |columns| paint(&wall(3, 200, None, false, columns), Colormap::Gray).unwrap().dimensions();
        assert_eq!(size(0), (427, 427));
        assert_eq!(size(3), (636, 218));
        assert_eq!(size(9), (636, 218));
    }

    #[test]
    fn the_marked_tile_has_a_frame() {
        let image = paint(&wall(4, 200, Some(3), false, 0), Colormap::Gray).unwrap();
        assert_eq!(image.get_pixel(212, 300).0, MARK.0);
        assert_eq!(image.get_pixel(4, 100).0, GAP.0);
        assert_eq!(image.get_pixel(300, 300).0, [255; 3]);
    }

    #[test]
    fn a_wall_of_a_part_draws_that_part_and_says_so() {
        let mut figure = wall(40, 200, None, false, 0);
        let Body::Montage { shown, .. } = &mut figure.body else { panic!("a montage") };
        *shown = 4;
        assert_eq!(paint(&figure, Colormap::Gray).unwrap().dimensions(), (427, 427), "as large as one of four tiles");
        assert_eq!(figure.part().as_deref(), Some("4 of 40"));
        assert!(super::super::caption(&figure).ends_with(", 4 of 40"));
        assert_eq!(figure.values().unwrap().shape, [40, 200, 200]);
        assert_eq!(wall(4, 200, None, false, 0).part(), None);
    }

    #[test]
    fn frames_stand_around_their_tiles_and_do_not_touch() {
        let mut figure = wall(2, 60, None, false, 2);
        let Body::Montage { frames, .. } = &mut figure.body else { panic!("a montage") };
        *frames = vec![[200, 10, 10], [10, 200, 10]];
        let image = paint(&figure, Colormap::Gray).unwrap();
        let times = image.width() / (2 * (60 + 12) + 12);
        let at = |x: u32| image.get_pixel(x * times, 40 * times).0;
        assert_eq!([at(2), at(8), at(75), at(81)], [GAP.0, [200, 10, 10], [200, 10, 10], [10, 200, 10]]);
    }

    #[test]
    fn tiles_share_one_scale_unless_each_has_its_own() {
        let at = |each| paint(&wall(2, 200, None, each, 0), Colormap::Gray).unwrap().get_pixel(300, 100).0;
        assert_eq!((at(false), at(true)), ([255; 3], [0; 3]));
        assert_eq!(range(&wall(2, 2, None, true, 0)), None);
    }
}
