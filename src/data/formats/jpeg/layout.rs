//! Finds the scans of a JPEG file and checks that the file is complete.

use anyhow::{Context, Result, bail, ensure};
use std::ops::Range;

/// Marker codes: the byte that follows 0xFF.
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DQT: u8 = 0xdb;

/// The location of the entropy-coded data in a JPEG file.
#[derive(Debug, Default, PartialEq)]
pub struct Layout {
    /// Byte range of each scan's data, including restart markers.
    pub scans: Vec<Range<usize>>,
    /// Number of bytes outside of all segments and scans.
    pub stray_bytes: usize,
}

impl Layout {
    /// Parses all segments up to the end-of-image marker and ignores everything after it.
    ///
    /// Errors if the file ends before the end-of-image marker, if it has no scan, or if quantization tables change between scans.
    pub fn of(bytes: &[u8]) -> Result<Self> {
        const CUT: &str = "the file is truncated: it has no end-of-image marker";
        ensure!(bytes.starts_with(&[0xff, SOI]), "the file has no JPEG header");
        let mut layout = Self::default();
        let mut at = 2;
        loop {
            let (marker, after) = next_marker(bytes, at).context(CUT)?;
            layout.stray_bytes += after - 2 - at - fill(bytes, after - 2, at);
            at = match marker {
                EOI => break,
                SOI => bail!("the file contains the start of another image"),
                0x01 | 0xd0..=0xd7 => after,
                _ => segment_end(bytes, after).context(CUT)?,
            };
            ensure!(marker != DQT || layout.scans.is_empty(), "the quantization tables change between scans");
            if marker == SOS {
                let end = scan_end(bytes, at);
                layout.scans.push(at..end);
                at = end;
            }
        }
        ensure!(!layout.scans.is_empty(), "the file has no image data");
        Ok(layout)
    }
}

/// The code of the first marker at or after `from`, and the position after that marker.
fn next_marker(bytes: &[u8], from: usize) -> Option<(u8, usize)> {
    let pairs = bytes.get(from..)?.windows(2);
    let at = from + pairs.into_iter().position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))?;
    Some((bytes[at + 1], at + 2))
}

/// Number of fill bytes (0xFF) directly before a marker, back to `from`.
fn fill(bytes: &[u8], marker: usize, from: usize) -> usize {
    bytes[from..marker].iter().rev().take_while(|&&byte| byte == 0xff).count()
}

fn segment_end(bytes: &[u8], at: usize) -> Option<usize> {
    let length = usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    Some(at + length.max(2)).filter(|&end| end <= bytes.len())
}

/// End of the scan data that starts at `start`: at a marker other than a restart marker, or at the end of the file.
fn scan_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        match next_marker(bytes, at) {
            Some((0xd0..=0xd7, after)) => at = after,
            Some((_, after)) => break after - 2 - fill(bytes, after - 2, start),
            None => break bytes.len(),
        }
    }
}
