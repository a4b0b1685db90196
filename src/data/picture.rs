//! A picture before preprocessing: the pixels of an image file, or an array of values.

use super::file::read_whole;
use super::formats::jpeg;
use super::formats::npy::{Npy, parse_npy};
use super::notes;
use super::whole;
use crate::memory::reserve;
use crate::panics::decoding;
use crate::tensor::shape_text;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use std::io::Cursor;
use std::path::Path;

/// Maximum number of pixels of a picture, for example 10,000 x 10,000.
pub const MAX_PIXELS: u64 = 100_000_000;

/// Bytes needed per pixel for decoding: enough for a JPEG's coefficients and samples, or for two copies of four 16-bit channels.
const BYTES_EACH: usize = 16;

/// Maximum size of a picture file in bytes.
pub const MAX_BYTES: u64 = 1 << 30;

/// A picture before preprocessing.
#[derive(Clone, Debug)]
pub enum Picture {
    /// The pixels of an image file, turned upright.
    Image(DynamicImage),
    /// f32 values of shape `(C, H, W)` in `[0, 1]`; scaled to the model's input size like an image.
    Values(Tensor),
    /// f32 values of shape `(C, H, W)`, never scaled or cropped.
    Exact(Tensor),
}

impl Picture {
    /// Reads a png, jpeg, webp, gif (first frame), bmp or `.npy` file; the format is detected from the contents.
    ///
    /// The pixels are the same as Pillow's, turned upright by the EXIF orientation (Pillow and torchvision leave that to the
    /// caller: `ImageOps.exif_transpose`). A damaged file is an error; if its pixels may still be correct, a note is
    /// queued instead.
    ///
    /// Errors if the file is not a picture, is truncated or damaged, or has more than [`MAX_PIXELS`] pixels.
    pub fn open(path: &Path) -> Result<Self> {
        Self::named(&words::path(&path), &read_whole(path, MAX_BYTES)?)
    }

    /// Decodes the bytes of a picture file like [`Picture::open`]; `name` identifies the picture in errors and notes.
    pub fn named(name: &str, bytes: &[u8]) -> Result<Self> {
        let (picture, doubt) = parse(bytes).with_context(|| format!("reading \"{name}\" as a picture"))?;
        if let Some(doubt) = doubt {
            notes::add(format!("\"{name}\" may be damaged: {doubt}"));
        }
        Ok(picture)
    }

    /// Decodes the bytes of a picture file. Errors under the same conditions as [`Picture::open`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Ok(parse(bytes)?.0)
    }

    /// A small RGB version of the picture, at most `side` pixels on its longer side.
    pub fn thumbnail(&self, side: u32) -> Result<RgbImage> {
        let image = match self {
            Self::Image(image) => image.clone(),
            Self::Values(t) | Self::Exact(t) => {
                let (c, h, w) = t.dims3()?;
                let t = if c == 3 { t.clone() } else { t.mean_keepdim(0)?.broadcast_as((3, h, w))? };
                let bytes = (t.permute((1, 2, 0))?.clamp(0f32, 1f32)? * 255.0)?.to_dtype(DType::U8)?;
                let image = RgbImage::from_raw(w as u32, h as u32, bytes.flatten_all()?.to_vec1()?);
                DynamicImage::ImageRgb8(image.context("the size of the picture does not match its number of pixels")?)
            }
        };
        Ok(match image.width().max(image.height()) > side {
            true => image.thumbnail(side, side).into_rgb8(),
            false => image.into_rgb8(),
        })
    }

    /// Shape `(C, H, W)` of the picture as stored, without the alpha channel.
    pub fn shape(&self) -> Result<[usize; 3]> {
        match self {
            Self::Image(image) => {
                let channels = if image.color().has_color() { 3 } else { 1 };
                Ok([channels, image.height() as usize, image.width() as usize])
            }
            Self::Values(t) | Self::Exact(t) => Ok(t.dims3()?.into()),
        }
    }

    /// Height and width of the picture as stored; `None` if it has no such dimensions.
    pub fn size(&self) -> Option<[usize; 2]> {
        self.shape().ok().map(|[_, height, width]| [height, width])
    }
}

/// Decodes the bytes of a picture file; also returns the reason why its pixels may be wrong, if any.
fn parse(bytes: &[u8]) -> Result<(Picture, Option<String>)> {
    if bytes.starts_with(b"\x93NUMPY") {
        return Ok((exact(&parse_npy(bytes)?)?, None));
    }
    let format = format(bytes)?;
    decoding(&format.extensions_str()[0].to_uppercase(), || {
        let (mut image, orientation, doubt) = match format {
            ImageFormat::Jpeg => {
                let jpeg = jpeg::decode(bytes)?;
                let doubt = format!("{} extraneous bytes in the image data", jpeg.stray_bytes);
                (jpeg.image, jpeg.orientation, (jpeg.stray_bytes > 0).then_some(doubt))
            }
            format => {
                let (image, orientation) = decode(bytes, format)?;
                (image, orientation, None)
            }
        };
        image.apply_orientation(orientation);
        anyhow::Ok((Picture::Image(image), doubt))
    })
}

/// Decodes a picture in a format other than JPEG; returns the pixels as stored and the EXIF orientation.
fn decode(bytes: &[u8], format: ImageFormat) -> Result<(DynamicImage, Orientation)> {
    let broken = || format!("the {} file is damaged or its variant is not supported", format.extensions_str()[0]);
    whole::check(bytes, format).with_context(broken)?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PIXELS * 12);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().with_context(broken)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    let orientation = decoder.orientation().with_context(broken)?;
    Ok((DynamicImage::from_decoder(decoder).with_context(broken)?, orientation))
}

/// Errors if a picture has no pixels or more than [`MAX_PIXELS`], or if there is too little memory to decode it.
pub(crate) fn check_size(width: u32, height: u32) -> Result<()> {
    let pixels = u64::from(width) * u64::from(height);
    ensure!(pixels > 0, "a {width}x{height} picture has no pixels");
    ensure!(
        pixels <= MAX_PIXELS,
        "the picture has {width}x{height} pixels; at most {} million are supported, so scale it down first",
        MAX_PIXELS / 1_000_000
    );
    reserve(pixels as usize * BYTES_EACH, || format!("a picture of {width}x{height} pixels"))
}

fn format(bytes: &[u8]) -> Result<ImageFormat> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
    const KNOWN: &str = "use png, jpeg, webp, gif, bmp or .npy";
    match image::guess_format(bytes) {
        Ok(format @ (Png | Jpeg | WebP | Gif | Bmp)) => Ok(format),
        Ok(other) => bail!("the file is a {} file; {KNOWN}", other.extensions_str()[0]),
        Err(_) if bytes.is_empty() => bail!("the file is empty; {KNOWN}"),
        Err(_) if std::str::from_utf8(&bytes[..bytes.len().min(4096)]).is_ok() => bail!("the file is text; {KNOWN}"),
        Err(_) => bail!("the file is not a picture; {KNOWN}"),
    }
}

/// Converts an array to a picture. The shape is `(H, W)`, `(C, H, W)` or `(1, C, H, W)`; integers from 0 to 255 are mapped to
/// `[0, 1]`, floats are kept.
fn exact(array: &Npy) -> Result<Picture> {
    let shape = match array.shape[..] {
        [h, w] => [1, h, w],
        [c, h, w] | [1, c, h, w] => [c, h, w],
        _ => bail!("the shape of the array is {}; a picture must be CxHxW, 1xCxHxW or HxW", shape_text(&array.shape)),
    };
    ensure!(!array.values.is_empty(), "the array is empty: its shape is {}", shape_text(&array.shape));
    ensure!(
        shape[2] > 4 || shape[0] <= 4,
        "the shape of the array is {}, which looks like HxWxC; put the channels first",
        shape_text(&array.shape)
    );
    if let Some(at) = array.values.iter().position(|v| !v.is_finite()) {
        bail!("the value at {:?} is {}; a picture must have finite values", place(&array.shape, at), array.values[at]);
    }
    let whole = matches!(array.dtype.as_bytes(), [b'i' | b'u', ..]);
    let beyond = array.values.iter().position(|v| whole && !(0.0..=255.0).contains(v));
    if let Some(at) = beyond {
        bail!(
            "the value at {:?} is {}; integer pixels must be 0 to 255; use floats from 0 to 1 for other values",
            place(&array.shape, at),
            array.values[at]
        );
    }
    let scale = if whole { 255.0 } else { 1.0 };
    let values = array.values.iter().map(|v| v / scale).collect();
    Ok(Picture::Exact(Tensor::from_vec(values, &shape, &Device::Cpu)?))
}

/// The multidimensional index of the value at row-major index `at`.
fn place(shape: &[usize], mut at: usize) -> Vec<usize> {
    let mut place: Vec<_> = shape.iter().rev().map(|n| (at % n, at /= n).0).collect();
    place.reverse();
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::damaged::png_with_palette;
    use crate::data::formats::npy::write_npy;
    use image::{GrayImage, Rgb, RgbImage};

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        if format == ImageFormat::Jpeg {
            let image = image.into().into_rgb8();
            return jpeg::encode(&image, image.dimensions(), false, 90).unwrap();
        }
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn colors() -> RgbImage {
        RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8 * 50, y as u8 * 100, 7]))
    }

    fn image_of(picture: Picture) -> DynamicImage {
        let Picture::Image(image) = picture else { panic!("not an image: {picture:?}") };
        image
    }

    fn error_of(bytes: &[u8]) -> String {
        format!("{:#}", Picture::parse(bytes).unwrap_err())
    }

    #[test]
    fn lossless_formats_round_trip() {
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp] {
            let picture = Picture::parse(&encoded(colors(), format)).unwrap();
            assert_eq!(picture.shape().unwrap(), [3, 3, 5]);
            assert_eq!(image_of(picture).to_rgb8(), colors(), "{format:?}");
        }
    }

    #[test]
    fn jpeg_and_gif_round_trip_approximately() {
        let flat = RgbImage::from_pixel(16, 8, Rgb([200, 60, 30]));
        for format in [ImageFormat::Jpeg, ImageFormat::Gif] {
            let image = image_of(Picture::parse(&encoded(flat.clone(), format)).unwrap()).to_rgb8();
            assert_eq!(image.dimensions(), (16, 8));
            assert!(image.iter().zip(flat.iter()).all(|(a, b)| a.abs_diff(*b) < 8), "{format:?}");
        }
    }

    /// A JPEG whose EXIF block has the given orientation.
    fn jpeg_with_orientation(image: RgbImage, orientation: u8) -> Vec<u8> {
        let mut bytes = encoded(image, ImageFormat::Jpeg);
        let mut exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        bytes.splice(2..2, exif);
        bytes
    }

    #[test]
    fn a_sideways_picture_is_turned_upright() {
        let black_left = RgbImage::from_fn(32, 16, |x, _| Rgb([if x < 16 { 0 } else { 255 }; 3]));
        let image = image_of(Picture::parse(&jpeg_with_orientation(black_left, 6)).unwrap()).to_rgb8();
        assert_eq!(image.dimensions(), (16, 32));
        assert!(image.get_pixel(8, 2)[0] < 40 && image.get_pixel(8, 29)[0] > 215);
    }

    #[test]
    fn errors_for_text_and_other_formats_list_the_supported_formats() {
        assert!(error_of(b"hello, world").contains("the file is text; use png, jpeg, webp, gif, bmp or .npy"));
        assert!(error_of(b"").contains("empty"));
        assert!(error_of(b"II*\0\x08\0\0\0").contains("tiff"));
        assert!(error_of(&[0xfe; 40]).contains("not a picture"));
    }

    #[test]
    fn a_truncated_picture_is_an_error() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP, ImageFormat::Bmp] {
            let bytes = encoded(colors(), format);
            // The last byte of a GIF comes after its images; the last four of a PNG are the checksum of an empty chunk.
            let spare = match format {
                ImageFormat::Gif => 1,
                ImageFormat::Png => 4,
                _ => 0,
            };
            for length in 12..bytes.len() - spare {
                let error = error_of(&bytes[..length]);
                assert!(error.contains("file is damaged"), "{format:?}, {length} of {}: {error}", bytes.len());
            }
        }
    }

    #[test]
    fn a_palette_of_any_length_is_either_read_or_an_error() {
        assert!(Picture::parse(&png_with_palette(768)).is_ok());
        for length in (0..767).filter(|length| length % 3 != 0 || *length == 0).chain([769, 770, 1000]) {
            let error = error_of(&png_with_palette(length));
            assert!(error.contains("PNG decoder failed") || error.contains("png file is damaged"), "{length}: {error}");
        }
    }

    #[test]
    fn a_wrong_checksum_is_an_error() {
        let mut bytes = encoded(RgbImage::from_fn(40, 30, |x, y| Rgb([x as u8 ^ 85, y as u8, 99])), ImageFormat::Png);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        assert!(error_of(&bytes).contains("png file is damaged"));
    }

    #[test]
    fn a_picture_beyond_the_limit_is_an_error_before_its_pixels_are_decoded() {
        let mut bytes = encoded(GrayImage::new(1, 1), ImageFormat::Bmp);
        bytes[18..22].copy_from_slice(&20_000u32.to_le_bytes());
        bytes[22..26].copy_from_slice(&20_000u32.to_le_bytes());
        assert!(error_of(&bytes).contains("20000x20000 pixels; at most 100 million"), "{}", error_of(&bytes));
    }

    #[test]
    fn an_array_is_a_picture_of_its_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        for shape in [vec![2, 3], vec![1, 2, 3], vec![1, 1, 2, 3]] {
            write_npy(&path, &shape, &[0.0, 0.5, 1.0, -2.0, 3.0, 4.0]).unwrap();
            let Picture::Exact(t) = Picture::open(&path).unwrap() else { panic!("not exact") };
            assert_eq!(t.dims(), [1, 2, 3]);
            assert_eq!(t.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.0, 0.5, 1.0, -2.0, 3.0, 4.0]);
        }
    }

    #[test]
    fn a_nan_in_an_array_is_an_error_with_its_index() {
        let array = Npy { shape: vec![2, 2, 3], values: vec![0.0; 12], dtype: "f4".into() };
        let mut broken = array.clone();
        broken.values[10] = f32::NAN;
        assert!(exact(&array).is_ok());
        assert!(format!("{}", exact(&broken).unwrap_err()).contains("at [1, 1, 1] is NaN"));
    }

    #[test]
    fn bytes_in_an_array_become_values_from_0_to_1() {
        let array = Npy { shape: vec![1, 2], values: vec![0.0, 255.0], dtype: "u1".into() };
        let Picture::Exact(t) = exact(&array).unwrap() else { panic!("not exact") };
        assert_eq!(t.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.0, 1.0]);
    }

    #[test]
    fn integers_of_every_dtype_are_pixels_from_0_to_255() {
        for dtype in ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"] {
            let array = |values: Vec<f32>| Npy { shape: vec![1, 2, 1], values, dtype: dtype.into() };
            let Picture::Exact(t) = exact(&array(vec![51.0, 0.0])).unwrap() else { panic!("not exact") };
            assert_eq!(t.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.2, 0.0], "{dtype}");
            for wrong in [-1.0, 256.0, 65535.0] {
                let error = exact(&array(vec![51.0, wrong])).unwrap_err().to_string();
                assert!(error.contains(&format!("the value at [0, 1, 0] is {wrong}")), "{dtype}: {error}");
            }
        }
        for dtype in ["b1", "f2", "f4", "f8"] {
            let array = Npy { shape: vec![1, 2], values: vec![0.0, 1.0], dtype: dtype.into() };
            let Picture::Exact(t) = exact(&array).unwrap() else { panic!("not exact") };
            assert_eq!(t.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.0, 1.0], "{dtype}");
        }
    }

    #[test]
    fn an_array_of_another_shape_is_an_error() {
        for shape in [vec![4], vec![2, 1, 1, 2], vec![32, 32, 3], vec![0, 3]] {
            let values = vec![0.0; shape.iter().product()];
            assert!(exact(&Npy { shape, values, dtype: "f4".into() }).is_err());
        }
    }
}
