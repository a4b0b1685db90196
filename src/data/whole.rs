//! Detects truncated GIF and WebP files, whose decoders silently fill in missing data.

use anyhow::{Context, Result, ensure};
use image::ImageFormat;

/// Errors if a GIF or WebP file is cut off before the end of its first image; other formats are not checked.
pub fn check(bytes: &[u8], format: ImageFormat) -> Result<()> {
    const CUT: &str = "the file is truncated";
    match format {
        ImageFormat::Gif => end_of_first_frame(bytes).map(drop).context(CUT),
        ImageFormat::WebP => {
            let size = bytes.get(4..8).and_then(|size| size.try_into().ok()).map(u32::from_le_bytes).context(CUT)?;
            ensure!(
                u64::from(size) + 8 <= bytes.len() as u64,
                "{CUT}: {} of {} bytes",
                bytes.len(),
                u64::from(size) + 8
            );
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The position after the first image of a GIF; `None` if the file ends earlier.
fn end_of_first_frame(bytes: &[u8]) -> Option<usize> {
    let mut at = 13 + colors(*bytes.get(10)?);
    loop {
        match bytes.get(at)? {
            0x21 => at = end_of_blocks(bytes, at + 2)?,
            0x2c => return end_of_blocks(bytes, at + 11 + colors(*bytes.get(at + 9)?)),
            _ => return None,
        }
    }
}

/// Size in bytes of the color table described by a flag byte.
fn colors(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// The position after a chain of blocks, each preceded by its length; a block of length 0 ends the chain.
fn end_of_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            0 => return Some(at + 1),
            &length => at += 1 + usize::from(length),
        }
    }
}
