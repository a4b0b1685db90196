//! Exports painted figures as PNG.

use super::format::{Drawn, Format, Purpose};
use anyhow::{Context, Result};
use image::ImageFormat;
use std::io::Cursor;

pub(super) const FORMAT: Format = Format { ending: "png", purpose: Purpose::Viewing, bytes };

fn bytes(drawn: &Drawn) -> Result<Option<Vec<u8>>> {
    let Some(picture) = &drawn.picture else { return Ok(None) };
    let mut bytes = Cursor::new(vec![]);
    picture.write_to(&mut bytes, ImageFormat::Png).with_context(|| format!("drawing \"{}\"", drawn.figure.title))?;
    Ok(Some(bytes.into_inner()))
}
