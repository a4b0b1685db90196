//! Preprocessing: resizes and crops a picture to a network's input size and converts its channels, as torchvision does.

use super::interpolation::Interpolation;
use super::picture::Picture;
use super::resample::{Grid, Sample, resample};
use crate::backend;
use crate::memory::reserve;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use image::DynamicImage;
use std::ops::Range;

/// How to resize a picture to a model's input size: torchvision's `Resize` (antialiased) and `CenterCrop`.
///
/// Normalization is not part of preprocessing; it is the first node of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preprocess {
    /// The model's input shape, `(C, H, W)`.
    pub input: [usize; 3],
    /// Length of the shorter side before the center crop; `None` resizes the entire picture to `H` x `W`.
    pub resize: Option<usize>,
    /// How pixels are interpolated.
    pub interpolation: Interpolation,
}

/// The samples of an image: bytes if the file has 8 bits per channel, otherwise floats in `[0, 1]`.
enum Samples {
    Bytes(Grid<u8>),
    Numbers(Grid<f32>),
}

impl Preprocess {
    /// Bilinear scaling to `input`, with a center crop if `resize` is set.
    pub fn bilinear(input: [usize; 3], resize: Option<usize>) -> Self {
        Self { input, resize, interpolation: Interpolation::Bilinear }
    }

    /// Converts the picture to a `(1, C, H, W)` f32 tensor in `[0, 1]`.
    ///
    /// Alpha is dropped. The channel of a gray picture is repeated for a model with three input channels; a color picture is
    /// converted to gray for a model with one. With `no_resize`, and for [`Picture::Exact`], the picture keeps its size. Values that
    /// bicubic or Lanczos interpolation moves outside `[0, 1]` are clamped.
    ///
    /// Errors if a value is not finite or lies more than [`SLACK`] outside `[0, 1]` (values closer to the interval are clamped),
    /// if the number of channels cannot be converted, or if there is too little memory.
    pub fn apply(&self, picture: &Picture, no_resize: bool) -> Result<Tensor> {
        let channels = self.input[0];
        let [_, height, width] = picture.shape()?;
        // Bytes per pixel, for three channels. A picture that keeps its size is converted to floats in full.
        let bytes_each = if no_resize { 28 } else { 12 };
        reserve(height * width * bytes_each, || format!("preparing a picture of {width}x{height} pixels"))?;
        let values = match picture {
            Picture::Exact(t) => recolor(t, channels)?,
            Picture::Values(t) if no_resize || t.dims()[1..] == self.input[1..] => recolor(t, channels)?,
            Picture::Values(t) if self.interpolation.overshoots() => {
                recolor(&tensor(&self.scale(&grid(&pixels(t)?)?)?, |v| v.clamp(0.0, 1.0))?, channels)?
            }
            Picture::Values(t) => recolor(&tensor(&self.scale(&grid(t)?)?, |v| v)?, channels)?,
            Picture::Image(image) => match samples(image, channels)? {
                Samples::Bytes(grid) if no_resize => tensor(&grid, unit)?,
                Samples::Bytes(grid) => tensor(&self.scale(&grid)?, unit)?,
                Samples::Numbers(grid) if no_resize => tensor(&grid, |v| v)?,
                Samples::Numbers(grid) => tensor(&self.scale(&grid)?, |v| v.clamp(0.0, 1.0))?,
            },
        };
        match picture {
            Picture::Image(_) => Ok(values.unsqueeze(0)?),
            Picture::Exact(_) | Picture::Values(_) => pixels(&values.unsqueeze(0)?),
        }
    }

    /// Resizes a picture to the model's input size, with a center crop if `resize` is set. Errors if `resize` is smaller than the
    /// input.
    fn scale<T: Sample>(&self, picture: &Grid<T>) -> Result<Grid<T>> {
        let [_, height, width] = self.input;
        let Some(short) = self.resize else {
            return resample(picture, (height, width), (0..height, 0..width), self.interpolation);
        };
        let (tall, wide) = scaled_size(picture.height, picture.width, short);
        ensure!(
            tall >= height && wide >= width,
            "a shorter side of {short} pixels is too small for the model's {height}x{width} input"
        );
        resample(picture, (tall, wide), (center(tall, height), center(wide, width)), self.interpolation)
    }
}

/// Maximum distance from `[0, 1]` at which a value is clamped instead of rejected, to allow for rounding: a quarter of an 8-bit
/// level.
pub const SLACK: f64 = 0.001;

/// Checks that the pixels `x`, of shape `(N, C, H, W)`, are in `[0, 1]`, and clamps values that lie at most [`SLACK`] outside.
///
/// Every method relies on this range: attacks, baselines and noise clamp to `[0, 1]`. Errors if a value is further outside or not
/// finite.
pub fn pixels(x: &Tensor) -> Result<Tensor> {
    let bad = backend::not_finite(x)?;
    ensure!(bad.count() == 0, "the picture's values are not finite: {bad}");
    let (low, high) = (backend::least(x)?, backend::greatest(x)?);
    ensure!(low >= -SLACK && high <= 1.0 + SLACK, "{}", outside(low, high));
    if low < 0.0 || high > 1.0 { backend::clamp(x, 0.0, 1.0) } else { Ok(x.clone()) }
}

/// Describes values outside `[0, 1]` and suggests how to fix them.
fn outside(low: f64, high: f64) -> String {
    let advice = match () {
        () if low >= -SLACK && high > 2.0 && high <= 255.5 => {
            "the values look like pixels from 0 to 255: divide them by 255"
        }
        () if (-20.0..0.0).contains(&low) && high <= 20.0 => {
            "the values look normalized: pass the raw pixels instead, because the network normalizes them itself"
        }
        () => {
            "if the network expects a different range, set mean and std in its card so that they map [0, 1] to that range"
        }
    };
    format!(
        "the picture's values range from {} to {}, but pixels must be between 0 and 1; {advice}",
        brief(low),
        brief(high)
    )
}

/// Formats a number with four significant digits.
fn brief(v: f64) -> String {
    format!("{v:.3e}").parse::<f64>().map_or_else(|_| v.to_string(), |v| v.to_string())
}

/// Height and width of a picture after its shorter side is resized to `short`. The longer side is rounded as in torchvision:
/// `int(short * long / short_before)`.
fn scaled_size(height: usize, width: usize, short: usize) -> (usize, usize) {
    match height <= width {
        true => (short, short * width / height),
        false => (short * height / width, short),
    }
}

/// The centered range of `part` out of `whole` pixels; half a pixel in the margin is rounded to even, as in Python.
fn center(whole: usize, part: usize) -> Range<usize> {
    let margin = whole - part;
    let start = margin / 2 + usize::from(margin % 4 == 3);
    start..start + part
}

/// The samples of an image, converted to `channels` channels, 1 or 3.
///
/// Errors for any other number of channels.
fn samples(image: &DynamicImage, channels: usize) -> Result<Samples> {
    ensure!(
        channels == 1 || channels == 3,
        "the model has {channels} input channels, but image files have 1 or 3; use a .npy file"
    );
    let (height, width) = (image.height() as usize, image.width() as usize);
    let colored = image.color().has_color();
    Ok(match image {
        DynamicImage::ImageLuma8(_) | DynamicImage::ImageLumaA8(_) if channels == 1 => {
            Samples::Bytes(Grid { height, width, channels, data: image.to_luma8().into_raw() })
        }
        DynamicImage::ImageRgb8(_)
        | DynamicImage::ImageRgba8(_)
        | DynamicImage::ImageLuma8(_)
        | DynamicImage::ImageLumaA8(_) => {
            let grid = Grid { height, width, channels: 3, data: image.to_rgb8().into_raw() };
            Samples::Bytes(if channels == 1 { gray(&grid, luma_of_bytes) } else { grid })
        }
        _ => {
            let grid = Grid { height, width, channels: 3, data: image.to_rgb32f().into_raw() };
            Samples::Numbers(match channels {
                1 if colored => gray(&grid, luma),
                1 => gray(&grid, |p: &[f32]| p[0]),
                _ => grid,
            })
        }
    })
}

fn gray<T: Copy>(grid: &Grid<T>, luma: impl Fn(&[T]) -> T) -> Grid<T> {
    let data = grid.data.chunks_exact(3).map(luma).collect();
    Grid { height: grid.height, width: grid.width, channels: 1, data }
}

/// Luma of an RGB pixel as in Pillow's `convert("L")`: ITU-R 601 in fixed point.
fn luma_of_bytes(rgb: &[u8]) -> u8 {
    let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(u32::from);
    ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
}

/// ITU-R 601 luma of an RGB pixel, without the rounding of [`luma_of_bytes`].
fn luma(rgb: &[f32]) -> f32 {
    0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
}

fn unit(byte: u8) -> f32 {
    f32::from(byte) / 255.0
}

/// Converts channels-last samples to a `(C, H, W)` tensor.
fn tensor<T: Sample>(grid: &Grid<T>, value: impl Fn(T) -> f32) -> Result<Tensor> {
    let Grid { height, width, channels, .. } = *grid;
    let plane = |c: usize| grid.data[c..].iter().step_by(channels);
    let values: Vec<f32> = (0..channels).flat_map(plane).map(|&v| value(v)).collect();
    Ok(Tensor::from_vec(values, (channels, height, width), &Device::Cpu)?)
}

/// Converts a `(C, H, W)` tensor to channels-last samples.
fn grid(t: &Tensor) -> Result<Grid<f32>> {
    let (channels, height, width) = t.dims3()?;
    let data = t.permute((1, 2, 0))?.flatten_all()?.to_vec1().context("reading pixels")?;
    Ok(Grid { height, width, channels, data })
}

/// Converts a `(C, H, W)` tensor to the number of channels that the model expects. Errors unless the numbers are equal or one is 1
/// and the other 3.
fn recolor(t: &Tensor, channels: usize) -> Result<Tensor> {
    let (have, height, width) = t.dims3()?;
    Ok(match (have, channels) {
        _ if have == channels => t.clone(),
        (1, 3) => t.broadcast_as((3, height, width))?.contiguous()?,
        (3, 1) => tensor(&gray(&grid(t)?, luma), |v| v)?,
        _ => bail!("the picture has {have} channels, but the model expects {channels}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayAlphaImage, GrayImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};

    fn apply(picture: impl Into<DynamicImage>, input: [usize; 3], resize: Option<usize>) -> Tensor {
        Preprocess::bilinear(input, resize).apply(&Picture::Image(picture.into()), false).unwrap()
    }

    fn as_is(picture: impl Into<DynamicImage>, channels: usize) -> Vec<f32> {
        let model = Preprocess::bilinear([channels, 9, 9], None);
        flat(&model.apply(&Picture::Image(picture.into()), true).unwrap())
    }

    fn flat(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn sizes_round_down_and_crops_round_to_even_as_in_torchvision() {
        assert_eq!(scaled_size(402, 512, 256), (256, 326));
        assert_eq!(scaled_size(512, 402, 256), (326, 256));
        assert_eq!(scaled_size(7, 7, 256), (256, 256));
        let starts = [(224, 0), (225, 0), (226, 1), (227, 2), (228, 2), (229, 2), (231, 4), (326, 51)];
        starts.iter().for_each(|&(whole, start)| assert_eq!(center(whole, 224).start, start, "{whole}"));
    }

    #[test]
    fn channels_are_in_rgb_order() {
        let picture = RgbImage::from_fn(2, 1, |x, _| Rgb([255 * x as u8, 51, 102]));
        assert_eq!(as_is(picture, 3), [0.0, 1.0, 0.2, 0.2, 0.4, 0.4]);
    }

    #[test]
    fn alpha_is_dropped_and_not_mixed_in() {
        assert_eq!(as_is(RgbaImage::from_pixel(1, 1, Rgba([255, 51, 0, 0])), 3), [1.0, 0.2, 0.0]);
        assert_eq!(as_is(GrayAlphaImage::from_pixel(1, 1, LumaA([51, 0])), 1), [0.2]);
    }

    #[test]
    fn sixteen_bits_keep_their_precision() {
        let gray = ImageBuffer::from_pixel(1, 1, Luma([1000u16]));
        assert_eq!(as_is(gray.clone(), 1), [1000.0 / 65535.0]);
        assert_eq!(as_is(gray, 3), [1000.0 / 65535.0; 3]);
        let rgb = ImageBuffer::from_pixel(4, 4, Rgb([1000u16, 0, 65535]));
        let small = flat(&apply(rgb, [3, 1, 1], Some(1)));
        assert!((small[0] - 1000.0 / 65535.0).abs() < 1e-7 && small[1] == 0.0 && small[2] == 1.0, "{small:?}");
    }

    #[test]
    fn gray_pictures_are_repeated_and_color_pictures_become_gray() {
        assert_eq!(as_is(GrayImage::from_pixel(1, 1, Luma([51])), 3), [0.2; 3]);
        assert_eq!(as_is(RgbImage::from_pixel(1, 1, Rgb([255, 0, 0])), 1), [76.0 / 255.0]);
        assert_eq!(as_is(RgbImage::from_pixel(1, 1, Rgb([9, 9, 9])), 1), [9.0 / 255.0]);
    }

    #[test]
    fn a_picture_of_one_pixel_fills_the_input() {
        let t = apply(RgbImage::from_pixel(1, 1, Rgb([255, 51, 0])), [3, 224, 224], Some(256));
        assert_eq!(t.dims(), [1, 3, 224, 224]);
        assert_eq!(
            flat(&t.mean((0, 2, 3)).unwrap()).iter().map(|v| (v * 5.0).round()).collect::<Vec<_>>(),
            [5.0, 1.0, 0.0]
        );
    }

    #[test]
    fn an_extremely_wide_picture_is_scaled_by_its_center_only() {
        let t = apply(GrayImage::from_pixel(60_000, 1, Luma([255])), [1, 224, 224], Some(256));
        assert!(flat(&t).iter().all(|&v| v == 1.0));
    }

    #[test]
    fn without_resize_the_whole_picture_is_scaled() {
        let t = apply(RgbImage::from_fn(64, 16, |x, _| Rgb([x as u8 * 4; 3])), [3, 8, 8], None);
        assert_eq!(t.dims(), [1, 3, 8, 8]);
        let row = flat(&t)[..8].to_vec();
        assert!(row[0] < 0.1 && row[7] > 0.9, "{row:?}");
    }

    fn entered(values: &[f32]) -> Result<Vec<f32>> {
        let picture = Tensor::from_slice(values, (1, 1, values.len()), &Device::Cpu).unwrap();
        let model = Preprocess::bilinear([1, 1, values.len()], None);
        let sides = [Picture::Exact(picture.clone()), Picture::Values(picture)];
        let [a, b] = sides.map(|p| model.apply(&p, false).map(|t| flat(&t)).map_err(|e| e.to_string()));
        assert_eq!(a, b);
        a.map_err(anyhow::Error::msg)
    }

    #[test]
    fn values_outside_0_to_1_are_an_error_that_says_what_they_look_like() {
        let told = |values: &[f32]| entered(values).unwrap_err().to_string();
        for values in [&[0.0, 255.0][..], &[12.0, 100.0], &[0.0, 2.5], &[0.0, 1.0, 254.99]] {
            assert!(told(values).contains("divide them by 255"), "{values:?}: {}", told(values));
        }
        for values in [&[-2.1179, 2.64][..], &[-1.0, 1.0], &[-0.5, 0.5], &[-0.0011, 0.0]] {
            assert!(told(values).contains("look normalized"), "{values:?}: {}", told(values));
        }
        assert_eq!(
            told(&[-2.117904, 2.64]),
            "the picture's values range from -2.118 to 2.64, but pixels must be between 0 and 1; the values look normalized: pass the \
             raw pixels instead, because the network normalizes them itself"
        );
        for values in [&[0.0, 1000.0][..], &[0.0, 1.5], &[-1e30, 0.0], &[0.0, f32::MAX]] {
            assert!(told(values).contains("set mean and std in its card"), "{values:?}: {}", told(values));
        }
        for values in [&[0.5, f32::NAN][..], &[f32::INFINITY, 0.0]] {
            assert!(told(values).contains("not finite: 1 of 2 is"), "{values:?}: {}", told(values));
        }
    }

    #[test]
    fn rounding_errors_outside_0_to_1_are_clamped_and_other_values_are_bit_exact() {
        assert_eq!(entered(&[-1e-7, 1.000_000_1, 0.3]).unwrap(), [0.0, 1.0, 0.3]);
        assert_eq!(entered(&[-0.0009, 1.0009, 1e-40]).unwrap(), [0.0, 1.0, 1e-40]);
        assert!(entered(&[-0.0011]).is_err() && entered(&[1.0011]).is_err());
    }

    #[test]
    fn arrays_keep_their_size_and_values() {
        let values = Tensor::from_vec(vec![1.0f32, 0.0, 0.25, 0.75], (1, 2, 2), &Device::Cpu).unwrap();
        let model = Preprocess::bilinear([3, 224, 224], Some(256));
        let t = model.apply(&Picture::Exact(values), false).unwrap();
        assert_eq!(t.dims(), [1, 3, 2, 2]);
        assert_eq!(flat(&t)[8..], [1.0, 0.0, 0.25, 0.75]);
    }

    #[test]
    fn values_of_another_size_are_scaled() {
        let values = Tensor::ones((3, 4, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
        let model = Preprocess::bilinear([1, 8, 8], None);
        let t = model.apply(&Picture::Values(values.clone()), false).unwrap();
        assert!(t.dims() == [1, 1, 8, 8] && flat(&t).iter().all(|v| (v - 1.0).abs() < 1e-6));
        assert_eq!(model.apply(&Picture::Values(values), true).unwrap().dims(), [1, 1, 4, 4]);
    }

    #[test]
    fn channels_that_do_not_match_are_an_error() {
        let model = Preprocess::bilinear([5, 8, 8], None);
        let picture = Picture::Image(RgbImage::new(8, 8).into());
        assert!(model.apply(&picture, false).unwrap_err().to_string().contains(".npy"));
        let values = Tensor::zeros((2, 8, 8), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(model.apply(&Picture::Exact(values), false).unwrap_err().to_string().contains("2 channels"));
    }
}
