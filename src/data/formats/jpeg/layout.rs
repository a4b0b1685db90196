//! Where the scans of a JPEG file lie, and whether it is whole.

use anyhow::{Context, Result, bail, ensure};
use std::ops::Range;

/// Second bytes of markers.
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DQT: u8 = 0xdb;

/// The entropy-coded data of a file.
#[derive(Debug, Default, PartialEq)]
pub struct Layout {
    /// The place of each scan's data, restart markers included.
    pub scans: Vec<Range<usize>>,
    /// Number of bytes between segments that belong to none.
    pub stray_bytes: usize,
}

impl Layout {
    /// Walks over all segments to the end-of-image marker. What follows it is not looked at.
    ///
    /// Errors: the file ends before its end marker; quantisation tables change between scans.
    pub fn of(bytes: &[u8]) -> Result<Self> {
        const CUT: &str = "the file is truncated: it has no end-of-image marker";
        ensure!(bytes.starts_with(&[0xff, SOI]), "it does not begin as a JPEG file does");
        let mut layout = Self::default();
        let mut at = 2;
        loop {
            let (marker, after) = next_marker(bytes, at).context(CUT)?;
            layout.stray_bytes += after - 2 - at - fill(bytes, after - 2, at);
            at = match marker {
                EOI => break,
                SOI => bail!("another picture begins inside it"),
                0x01 | 0xd0..=0xd7 => after,
                _ => segment_end(bytes, after).context(CUT)?,
            };
            ensure!(marker != DQT || layout.scans.is_empty(), "its quantisation tables change between scans");
            if marker == SOS {
                let end = scan_end(bytes, at);
                layout.scans.push(at..end);
                at = end;
            }
        }
        ensure!(!layout.scans.is_empty(), "it has no picture data");
        Ok(layout)
    }
}

/// The first marker at or behind a place, and where it ends.
fn next_marker(bytes: &[u8], from: usize) -> Option<(u8, usize)> {
    let pairs = bytes.get(from..)?.windows(2);
    let at = from + pairs.into_iter().position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))?;
    Some((bytes[at + 1], at + 2))
}

/// How many bytes before a marker, back to `from`, are 0xFF: any number may fill the space.
fn fill(bytes: &[u8], marker: usize, from: usize) -> usize {
    bytes[from..marker].iter().rev().take_while(|&&byte| byte == 0xff).count()
}

fn segment_end(bytes: &[u8], at: usize) -> Option<usize> {
    let length = usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    Some(at + length.max(2)).filter(|&end| end <= bytes.len())
}

/// Where data that begins here ends: at a marker that is no restart, or at the file's end.
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
