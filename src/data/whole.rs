//! Whether a GIF or WebP file has the length that it says; their decoders fill what is missing.

use anyhow::{Context, Result, ensure};
use image::ImageFormat;

/// Errors where the file ends before its first picture does.
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

/// Where the first picture of a GIF ends.
fn end_of_first_frame(bytes: &[u8]) -> Option<usize> {
    let mut at = 13 + colours(*bytes.get(10)?);
    loop {
        match bytes.get(at)? {
            0x21 => at = end_of_blocks(bytes, at + 2)?,
            0x2c => return end_of_blocks(bytes, at + 11 + colours(*bytes.get(at + 9)?)),
            _ => return None,
        }
    }
}

/// Bytes of the colour table that a flag announces.
fn colours(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Where a chain of blocks ends, each with its length before it, the last of length 0.
fn end_of_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            0 => return Some(at + 1),
            &length => at += 1 + usize::from(length),
        }
    }
}
