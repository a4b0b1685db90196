//! Rasterizes values: heatmaps with a colormap, pictures in their original colors.

use super::colormap::{Colormap, NOT_FINITE};
use super::figure::Array;
use super::scale::Range;
use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};

/// Draws a heatmap of shape `(H, W)` with a colormap that spans `range`.
pub(super) fn map(values: &Array, range: Range, colors: Colormap) -> RgbImage {
    let (h, w) = (values.shape[0] as u32, values.shape[1] as u32);
    RgbImage::from_fn(w, h, |x, y| {
        let value = values.data[(y * w + x) as usize];
        colors.color(range.place(value))
    })
}

/// Enlarges a picture by the largest integer factor for which its longer side does not exceed `least`.
pub(super) fn enlarged(image: RgbImage, least: u32) -> RgbImage {
    let times = least / image.width().max(image.height()).max(1);
    if times < 2 {
        return image;
    }
    resize(&image, image.width() * times, image.height() * times, FilterType::Nearest)
}

/// Draws an array of shape `(C, H, W)` with values in `[0, 1]`: one channel as gray, three as color, any other number as the gray
/// mean of the channels. Pixels with non-finite values are drawn as [`NOT_FINITE`]. `None` if the array is not 3-D.
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
    use super::*;

    #[test]
    fn a_channel_that_is_not_finite_is_visible() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let pixels = Array::new(vec![3, 1, 1], vec![0.0, bad, 0.0]).unwrap();
            assert_eq!(*rgb(&pixels).unwrap().get_pixel(0, 0), NOT_FINITE);
        }
    }

    #[test]
    fn other_numbers_of_channels_are_shown_as_their_mean() {
        let pixels = Array::new(vec![2, 1, 1], vec![0.0, 1.0]).unwrap();
        assert_eq!(rgb(&pixels).unwrap().get_pixel(0, 0).0, [128; 3]);
    }
}
