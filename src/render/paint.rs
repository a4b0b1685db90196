//! Renders figures as pictures.

use super::chart;
use super::colormap::{Colormap, NOT_FINITE};
use super::figure::{Body, Figure, Scale};
use super::overlay::Overlay;
use super::raster::{enlarged, map, rgb};
use super::scale::{Range, range};
use super::signal::{is_signal, scope, traces};
use super::tile_grid::TileGrid;
use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};

/// Small heatmaps are enlarged to at most this many pixels on the longer side, so that individual values are visible.
const LEAST: u32 = 128;

/// Draws a figure as a picture. Heatmaps are drawn with the colormap of `overlay`, or with coolwarm if their scale is symmetric. Returns
/// `None` for tables, texts, badges and sheets.
pub fn paint(figure: &Figure, overlay: impl Into<Overlay>) -> Option<RgbImage> {
    paint_in(figure, range(figure), overlay)
}

/// Like [`paint`](paint()), but with a given color range instead of one computed from the figure.
pub fn paint_in(figure: &Figure, range: Option<Range>, overlay: impl Into<Overlay>) -> Option<RgbImage> {
    let Overlay { colors, strength } = overlay.into();
    match &figure.body {
        Body::Map { values, over, .. } => {
            let (values, range) = (values.plane(figure.quantity.channels), range?);
            let colors = if range.symmetric { Colormap::Coolwarm } else { colors };
            Some(match over {
                _ if is_signal(&values) => {
                    let columns: Vec<_> = map(&values, range, colors).pixels().copied().collect();
                    scope(over.as_ref().filter(|picture| is_signal(picture)), Some(&columns))
                }
                Some(picture) => blend(&map(&values, range, colors), strength, &rgb(picture)?),
                None => enlarged(map(&values, range, colors), LEAST),
            })
        }
        Body::Image { pixels } if is_signal(pixels) => Some(scope(Some(pixels), None)),
        Body::Image { pixels } => rgb(pixels),
        Body::Montage { tiles, scale, columns, marked, captions, shown, frames, .. } => {
            let signal = is_signal(tiles);
            let drawn = if signal { &traces(tiles, range, *scale) } else { tiles };
            let range = if signal { Some(Range::of(&[0.0, 1.0], Scale::Range)) } else { range };
            let grid =
                TileGrid { tiles: drawn, scale: *scale, range, columns: *columns, captions, shown: *shown, frames };
            Some(grid.paint(*marked, colors))
        }
        Body::Line { .. } | Body::Bars { .. } | Body::Scatter { .. } | Body::Classes { .. } => {
            Some(chart::draw(figure))
        }
        Body::Table { .. } | Body::Sheet { .. } | Body::Text { .. } | Body::Badge { .. } => None,
    }
}

/// The colors of a colorbar for `range`, from low to high, one per pixel of `width`. Color tiles have a gray colorbar.
pub fn colorbar(figure: &Figure, range: Range, colors: Colormap, width: u32) -> Vec<Rgb<u8>> {
    let in_color = matches!(&figure.body, Body::Montage { tiles, .. } if tiles.shape.len() == 4);
    let colors = match range.symmetric {
        _ if in_color => Colormap::Gray,
        true => Colormap::Coolwarm,
        false => colors,
    };
    (0..width).map(|x| colors.color(x as f32 / (width - 1).max(1) as f32)).collect()
}

/// Blends a heatmap with a grayscale version of its picture. Non-finite values of the heatmap hide the picture.
fn blend(map: &RgbImage, strength: f32, picture: &RgbImage) -> RgbImage {
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
        let gray = 0.299 * r + 0.587 * g + 0.114 * b;
        pixel.0 = pixel.0.map(|c| (strength * f32::from(c) + (1.0 - strength) * gray).round() as u8);
    }
    image
}

#[cfg(test)]
mod tests {
    use super::super::figure::{Array, Cells};
    use super::super::tile_grid::{GAP, MARK};
    use super::*;

    fn heatmap(data: Vec<f32>, scale: Scale, over: Option<Array>) -> Figure {
        let values = Array::new(vec![1, 1, 2, 2], data).unwrap();
        Figure::new("t", Body::Map { values, scale, over, note: String::new(), cells: Cells::default() })
    }

    #[test]
    fn a_map_is_colored_from_its_minimum_to_its_maximum() {
        let image = paint(&heatmap(vec![0.0, 1.0, 0.5, 0.0], Scale::Range, None), Colormap::Gray).unwrap();
        assert_eq!(image.dimensions(), (128, 128));
        assert_eq!(image.get_pixel(0, 0).0, [0, 0, 0]);
        assert_eq!(image.get_pixel(127, 0).0, [255, 255, 255]);
        assert_eq!(image.get_pixel(0, 127).0, [128, 128, 128]);
    }

    #[test]
    fn values_that_are_not_finite_are_visible() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for scale in [Scale::Range, Scale::Symmetric, Scale::Percentile, Scale::Fixed(0.0, 1.0)] {
                let image = paint(&heatmap(vec![bad, 1.0, 0.5, 0.0], scale, None), Colormap::Gray).unwrap();
                assert_eq!(*image.get_pixel(0, 0), NOT_FINITE, "{bad} in {scale:?}");
                assert_ne!(*image.get_pixel(127, 0), NOT_FINITE);
            }
            let picture = Array::new(vec![3, 8, 8], vec![0.5; 192]).unwrap();
            let image = paint(&heatmap(vec![bad, 1.0, 0.5, 0.0], Scale::Range, Some(picture)), Colormap::Gray).unwrap();
            assert_eq!([(0, 0), (3, 3)].map(|(x, y)| *image.get_pixel(x, y)), [NOT_FINITE; 2]);
        }
    }

    #[test]
    fn an_overlay_has_the_size_of_its_picture() {
        let picture = Array::new(vec![3, 8, 6], vec![0.5; 144]).unwrap();
        let image = paint(&heatmap(vec![0.0; 4], Scale::Positive, Some(picture)), Colormap::Inferno).unwrap();
        assert_eq!(image.dimensions(), (6, 8));
    }

    fn grid(count: usize, side: usize, marked: Option<usize>, each: bool, columns: usize) -> Figure {
        let data: Vec<f32> = (0..count * side * side).map(|i| (i / (side * side)) as f32).collect();
        let tiles = Array::new(vec![count, side, side], data).unwrap();
        Figure::new(
            "t",
            Body::Montage {
                tiles,
                scale: Scale::Range,
                each,
                columns,
                marked,
                captions: vec![],
                shown: count,
                of: count,
                frames: vec![],
                cells: Cells::default(),
            },
        )
    }

    #[test]
    fn three_tiles_form_a_square_grid_or_the_given_number_of_columns() {
        let size = |columns| paint(&grid(3, 200, None, false, columns), Colormap::Gray).unwrap().dimensions();
        assert_eq!(size(0), (427, 427));
        assert_eq!(size(3), (636, 218));
        assert_eq!(size(9), (636, 218));
    }

    #[test]
    fn the_marked_tile_has_a_frame() {
        let image = paint(&grid(4, 200, Some(3), false, 0), Colormap::Gray).unwrap();
        assert_eq!(image.get_pixel(212, 300).0, MARK.0);
        assert_eq!(image.get_pixel(4, 100).0, GAP.0);
        assert_eq!(image.get_pixel(300, 300).0, [255; 3]);
    }

    #[test]
    fn a_partial_grid_is_labeled_as_partial() {
        let mut figure = grid(40, 200, None, false, 0);
        let Body::Montage { shown, .. } = &mut figure.body else { panic!("a montage") };
        *shown = 4;
        assert_eq!(paint(&figure, Colormap::Gray).unwrap().dimensions(), (427, 427), "as large as one of four tiles");
        assert_eq!(figure.part().as_deref(), Some("4 of 40"));
        assert!(super::super::caption(&figure).ends_with(", 4 of 40"));
        assert_eq!(figure.values().unwrap().shape, [40, 200, 200]);
        assert_eq!(grid(4, 200, None, false, 0).part(), None);
    }

    #[test]
    fn frames_surround_their_tiles_without_touching() {
        let mut figure = grid(2, 60, None, false, 2);
        let Body::Montage { frames, .. } = &mut figure.body else { panic!("a montage") };
        *frames = vec![[200, 10, 10], [10, 200, 10]];
        let image = paint(&figure, Colormap::Gray).unwrap();
        let times = image.width() / (2 * (60 + 12) + 12);
        let at = |x: u32| image.get_pixel(x * times, 40 * times).0;
        assert_eq!([at(2), at(8), at(75), at(81)], [GAP.0, [200, 10, 10], [200, 10, 10], [10, 200, 10]]);
    }

    #[test]
    fn tiles_share_one_scale_unless_each_has_its_own() {
        let at = |each| paint(&grid(2, 200, None, each, 0), Colormap::Gray).unwrap().get_pixel(300, 100).0;
        assert_eq!((at(false), at(true)), ([255; 3], [0; 3]));
        assert_eq!(range(&grid(2, 2, None, true, 0)), None);
    }
}
