//! JPEG decoding that matches libjpeg-turbo bit for bit, so that networks receive the same pixels as with Pillow and torchvision.
//!
//! `libjpeg-turbo-rs` reads headers and tables, decodes entropy-coded blocks and provides the inverse DCT. Its complete decoder is
//! not used, because it fails on subsampled CMYK files and ignores leftover bytes in damaged scans.

mod layout;
mod scan;
mod upsample;
mod colour;

use crate::data::picture::check_size;
use anyhow::{Context, Result, anyhow, bail, ensure};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use layout::Layout;
use libjpeg_turbo_rs::common::exif::parse_orientation;
use libjpeg_turbo_rs::decode::marker::{JpegMetadata, MarkerReader};
use libjpeg_turbo_rs::{PixelFormat, Subsampling};
use scan::Coefficients;

/// The decoded pixels of a JPEG file, before the EXIF rotation.
#[derive(Debug)]
pub struct Jpeg {
    /// The pixels, as `ImageLuma8` or `ImageRgb8`.
    pub image: DynamicImage,
    /// The rotation or flip that turns the image upright, from the EXIF block.
    pub orientation: Orientation,
    /// Number of bytes outside of all segments and scans: padding or a sign of damage.
    pub stray_bytes: usize,
}

/// Decodes an 8-bit baseline or progressive JPEG: gray, YCbCr, RGB, CMYK or YCCK, with any integer subsampling.
///
/// Errors if the file is truncated, if a scan does not decode to its end, if the last scans of a progressive file are missing, or
/// if the file uses arithmetic coding or a variant that Pillow cannot read either (12 bits, lossless, two components).
pub fn decode(bytes: &[u8]) -> Result<Jpeg> {
    const DAMAGED: &str = "the JPEG file is damaged";
    let layout = Layout::of(bytes).context(DAMAGED)?;
    let header = MarkerReader::new(bytes).read_markers().map_err(|e| anyhow!("{e}")).context(DAMAGED)?;
    check_kind(&header)?;
    let (coefficients, left) = coefficients(bytes, &header, &layout).context(DAMAGED)?;
    let image = pixels(&header, coefficients).context(DAMAGED)?;
    let orientation = header.exif_data.as_deref().and_then(parse_orientation).and_then(Orientation::from_exif);
    let stray_bytes = layout.stray_bytes + left;
    Ok(Jpeg { image, orientation: orientation.unwrap_or(Orientation::NoTransforms), stray_bytes })
}

/// Encodes a picture as JPEG with 4:2:0 chroma subsampling. `picture` holds `width · height` gray bytes or RGB triples; `quality`
/// is 1 to 100.
pub fn encode(picture: &[u8], (width, height): (u32, u32), gray: bool, quality: u8) -> Result<Vec<u8>> {
    let format = if gray { PixelFormat::Grayscale } else { PixelFormat::Rgb };
    let (w, h) = (width as usize, height as usize);
    let written = libjpeg_turbo_rs::compress(picture, w, h, format, quality, Subsampling::S420);
    written.map_err(|e| anyhow!("{e}")).with_context(|| format!("writing a {width}x{height} JPEG"))
}

fn check_kind(header: &JpegMetadata) -> Result<()> {
    let frame = &header.frame;
    ensure!(!header.is_arithmetic, "arithmetic coding is not supported; save the picture as a baseline JPEG");
    ensure!(!frame.is_lossless, "lossless JPEG is not supported; save the picture as a PNG");
    ensure!(frame.precision == 8, "the file has {} bits per sample; only 8 are supported", frame.precision);
    let components = frame.components.len();
    ensure!(
        matches!(components, 1 | 3 | 4),
        "the file has {components} color components; only 1, 3 and 4 are supported"
    );
    check_size(frame.width.into(), frame.height.into())
}

/// Decodes the coefficients of all scans; also returns the number of leftover bytes in the scans.
fn coefficients(bytes: &[u8], header: &JpegMetadata, layout: &Layout) -> Result<(Coefficients, usize)> {
    let mut coefficients = Coefficients::new(&header.frame, bytes.len())?;
    ensure!(header.scans.len() == layout.scans.len(), "the scans of the JPEG are out of order");
    let mut left = 0;
    for (scan, place) in header.scans.iter().zip(&layout.scans) {
        ensure!(scan.data_offset == place.start, "the scans of the JPEG are out of order");
        left += coefficients.read(scan, &bytes[place.clone()])?;
    }
    coefficients.check_complete()?;
    Ok((coefficients, left))
}

/// Converts coefficients to pixels: inverse DCT, upsampling and color conversion.
fn pixels(header: &JpegMetadata, coefficients: Coefficients) -> Result<DynamicImage> {
    let (width, height) = (usize::from(header.frame.width), usize::from(header.frame.height));
    let mut planes = Vec::new();
    for (component, grid) in header.frame.components.iter().zip(coefficients.grids) {
        let table = header.quant_tables[usize::from(component.quant_table_index)].as_ref();
        let table = table.ok_or_else(|| anyhow!("quantization table {} is missing", component.quant_table_index))?;
        planes.push(upsample::to_full_size(&grid.samples(table), (width, height), coefficients.largest)?);
    }
    let size = (u32::from(header.frame.width), u32::from(header.frame.height));
    let image = match &planes[..] {
        [_] => GrayImage::from_raw(size.0, size.1, planes.remove(0)).map(DynamicImage::from),
        planes => RgbImage::from_raw(size.0, size.1, colour::rgb(header, planes)).map(DynamicImage::from),
    };
    image.map_or_else(|| bail!("the decoded data does not match the size of the picture"), Ok)
}
