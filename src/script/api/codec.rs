//! Simulates saving pictures to files: rounding to 8 bits, and JPEG compression.

use super::{finite, out};
use crate::backend;
use crate::data::check_size;
use crate::data::formats::jpeg;
use crate::panics::decoding;
use crate::tensor::shape_text;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Tensor};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageFormat};
use rhai::{Engine, INT};
use std::io::Cursor;

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("through_file", |x: Tensor, format: &str| out(through_file(&x, format, 90)));
    engine.register_fn("through_file", |x: Tensor, format: &str, quality: INT| out(through_file(&x, format, quality)));
}

/// Encodes and decodes a batch of pictures, `(N, 3, H, W)` or `(N, 1, H, W)` in `[0, 1]`, as `png` or `jpeg` (quality 1 to 100,
/// chroma at half resolution). The result is the same as with Pillow's `save` and `open`.
fn through_file(x: &Tensor, format: &str, quality: INT) -> Result<Tensor> {
    let shape = x.dims4().ok().filter(|&(_, c, h, w)| (c == 1 || c == 3) && h * w > 0);
    let Some((n, c, h, w)) = shape else {
        bail!("through_file expects pictures of shape (N, 3, H, W) or (N, 1, H, W), got {}", shape_text(x.dims()));
    };
    ensure!((1..=100).contains(&quality), "JPEG quality must be between 1 and 100, got {quality}");
    check_size(w as u32, h as u32)?;
    finite(x, "through_file")?;
    let bytes = (backend::clamp(x, 0.0, 1.0)?.to_dtype(DType::F32)? * 255.0)?.round()?.to_dtype(DType::U8)?;
    let bytes = bytes.permute((0, 2, 3, 1))?.contiguous()?.flatten_all()?.to_vec1::<u8>()?;
    let size = (h as u32, w as u32, if c == 3 { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 });
    let pictures = bytes.chunks_exact(c * h * w).map(|picture| file(picture, size, format, quality as u8));
    let read = pictures.collect::<Result<Vec<_>>>()?.concat();
    let read = Tensor::from_vec(read, (n, h, w, c), x.device())?.permute((0, 3, 1, 2))?;
    Ok((read.to_dtype(x.dtype())? / 255.0)?.contiguous()?)
}

/// The pixel bytes of one picture after a round trip through the file format `format`.
fn file(picture: &[u8], (h, w, color): (u32, u32, ExtendedColorType), format: &str, quality: u8) -> Result<Vec<u8>> {
    let read = match format {
        "png" => {
            let mut file = Cursor::new(vec![]);
            PngEncoder::new(&mut file).write_image(picture, w, h, color)?;
            decoding("PNG", || image::load_from_memory_with_format(file.get_ref(), ImageFormat::Png))
                .context("decoding the encoded PNG")?
        }
        "jpeg" => {
            let gray = color == ExtendedColorType::L8;
            let file = jpeg::encode(picture, (w, h), gray, quality)?;
            decoding("JPEG", || jpeg::decode(&file))?.image
        }
        _ => bail!("no format named \"{format}\"; expected \"png\" or \"jpeg\""),
    };
    Ok(match color {
        ExtendedColorType::L8 => read.into_luma8().into_raw(),
        _ => read.into_rgb8().into_raw(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_png_rounds_to_8_bits_and_a_jpeg_changes_more() {
        for c in [1, 3] {
            let x = Tensor::rand(0f32, 1.0, (2, c, 9, 7), &Device::Cpu).unwrap();
            let rounded = ((&x * 255.0).unwrap().round().unwrap() / 255.0).unwrap();
            let far = |y: Tensor| {
                (y - &rounded)
                    .unwrap()
                    .abs()
                    .unwrap()
                    .flatten_all()
                    .unwrap()
                    .max(0)
                    .unwrap()
                    .to_scalar::<f32>()
                    .unwrap()
            };
            assert!(far(through_file(&x, "png", 90).unwrap()) < 1e-6);
            assert!(far(through_file(&x, "jpeg", 50).unwrap()) > 0.01);
        }
        let flat = Tensor::zeros((1, 2, 3, 3), DType::F32, &Device::Cpu).unwrap();
        assert!(through_file(&flat, "png", 90).unwrap_err().to_string().contains("1x2x3x3"));
        assert!(through_file(&flat.narrow(1, 0, 1).unwrap(), "tiff", 90).is_err());
    }
}
