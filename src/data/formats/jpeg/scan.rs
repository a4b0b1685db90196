//! Decodes the coefficients of a scan, and checks that no data is missing or left over.

use anyhow::{Context, Result, anyhow, ensure};
use libjpeg_turbo_rs::common::huffman_table::HuffmanTable;
use libjpeg_turbo_rs::common::quant_table::QuantTable;
use libjpeg_turbo_rs::decode::bitstream::BitReader;
use libjpeg_turbo_rs::decode::entropy::McuDecoder;
use libjpeg_turbo_rs::decode::idct::idct_8x8;
use libjpeg_turbo_rs::decode::marker::ScanInfo;
use libjpeg_turbo_rs::decode::progressive::{decode_ac_first, decode_ac_refine, decode_dc_first, decode_dc_refine};
use libjpeg_turbo_rs::{ComponentInfo, FrameHeader};

/// The 8 x 8 DCT coefficients of a block, row by row.
type Block = [i16; 64];

/// Marks coefficients that no scan has provided yet; one more than the largest possible bit shift.
const UNKNOWN: u8 = 14;

/// The DCT coefficients of all components of a JPEG file.
pub struct Coefficients {
    /// One grid per component, in the order of the frame header.
    pub grids: Vec<Grid>,
    /// Largest horizontal and vertical sampling factors of any component.
    pub largest: (usize, usize),
    mcus: (usize, usize),
    ids: Vec<u8>,
    progressive: bool,
}

/// The DCT blocks of one component.
pub struct Grid {
    /// Sampling factors: horizontal, vertical.
    pub factors: (usize, usize),
    /// Columns and rows of blocks that contain pixels. Interleaved scans have additional blocks that complete the MCUs at the
    /// edges.
    size: (usize, usize),
    stride: usize,
    blocks: Vec<Block>,
    /// The lowest bit decoded so far for each coefficient, in zigzag order.
    known_to: [u8; 64],
}

/// The samples of one component before upsampling.
pub struct Samples {
    /// Sampling factors: horizontal, vertical.
    pub factors: (usize, usize),
    /// Samples per row, including those beyond the right edge of the picture.
    pub stride: usize,
    /// The samples, row by row.
    pub values: Vec<u8>,
}

impl Coefficients {
    /// Allocates the blocks of all components of a frame; `length` is the size of the file in bytes.
    ///
    /// Errors if a sampling factor is outside 1 to 4, or if the frame has more blocks than a file of `length` bytes can hold.
    pub fn new(frame: &FrameHeader, length: usize) -> Result<Self> {
        let factors = |c: &ComponentInfo| (usize::from(c.horizontal_sampling), usize::from(c.vertical_sampling));
        let all: Vec<_> = frame.components.iter().map(factors).collect();
        ensure!(
            all.iter().all(|(h, v)| (1..=4).contains(h) && (1..=4).contains(v)),
            "the sampling factors are not all between 1 and 4"
        );
        let largest = all.iter().fold((1, 1), |max, f| (max.0.max(f.0), max.1.max(f.1)));
        let (width, height) = (usize::from(frame.width), usize::from(frame.height));
        let mcus = (width.div_ceil(8 * largest.0), height.div_ceil(8 * largest.1));
        let count: usize = all.iter().map(|(h, v)| mcus.0 * h * mcus.1 * v).sum();
        // Every block uses at least one bit of the file.
        ensure!(count / 8 <= length, "the file is truncated: {length} bytes for {width}x{height} pixels");
        let grid = |&(h, v): &(usize, usize)| Grid {
            factors: (h, v),
            size: ((width * h).div_ceil(8 * largest.0), (height * v).div_ceil(8 * largest.1)),
            stride: mcus.0 * h,
            blocks: vec![[0; 64]; mcus.0 * h * mcus.1 * v],
            known_to: [UNKNOWN; 64],
        };
        let ids = frame.components.iter().map(|c| c.id).collect();
        Ok(Self { grids: all.iter().map(grid).collect(), largest, mcus, ids, progressive: frame.is_progressive })
    }

    /// Decodes a scan; returns the number of bytes left after its last block.
    ///
    /// Errors if the data ends early or contains an invalid code, or if restart markers are missing, superfluous or out of order.
    pub fn read(&mut self, scan: &ScanInfo, data: &[u8]) -> Result<usize> {
        let parts = self.parts(scan)?;
        for part in &parts {
            self.note(part, scan)?;
        }
        let (across, down) = match &parts[..] {
            [part] => self.grids[part.component].size,
            _ => self.mcus,
        };
        let count = across * down;
        let interval = if scan.restart_interval == 0 { count } else { usize::from(scan.restart_interval) };
        let segments = segments(data)?;
        let wanted = count.div_ceil(interval);
        ensure!(
            segments.len() == wanted,
            "the file has {} restart markers instead of {}",
            segments.len() - 1,
            wanted - 1
        );
        let mut left = 0;
        for (i, segment) in segments.into_iter().enumerate() {
            let mut decoder = Decoder::new(segment, scan, self.progressive);
            for mcu in i * interval..count.min((i + 1) * interval) {
                self.read_mcu(&mut decoder, &parts, (mcu % across, mcu / across))?;
            }
            left += decoder.finish()?;
        }
        Ok(left)
    }

    /// The components of a scan, with their Huffman tables.
    fn parts<'a>(&self, scan: &'a ScanInfo) -> Result<Vec<Part<'a>>> {
        let part = |c: &libjpeg_turbo_rs::ScanComponentSelector| {
            let component = self.ids.iter().position(|&id| id == c.component_id);
            Ok(Part {
                component: component.with_context(|| {
                    format!("a scan refers to component {}, which is not in the header", c.component_id)
                })?,
                dc: scan.dc_huffman_tables[usize::from(c.dc_table_index)].as_deref(),
                ac: scan.ac_huffman_tables[usize::from(c.ac_table_index)].as_deref(),
            })
        };
        scan.header.components.iter().map(part).collect()
    }

    /// Checks that a scan of a component may follow the previous scans, and records which bits it provides.
    fn note(&mut self, part: &Part, scan: &ScanInfo) -> Result<()> {
        let header = &scan.header;
        let (start, end) = (usize::from(header.spec_start), usize::from(header.spec_end));
        let known_to = &mut self.grids[part.component].known_to;
        if !self.progressive {
            ensure!(known_to[0] == UNKNOWN, "a component occurs in two scans");
            *known_to = [0; 64];
            return Ok(());
        }
        let alone = header.components.len() == 1;
        let band = if start == 0 { end == 0 } else { alone && (start..64).contains(&end) };
        let before = if header.succ_high == 0 { UNKNOWN } else { header.succ_high };
        let next = header.succ_high == 0 || header.succ_high == header.succ_low + 1;
        ensure!(
            band && next && header.succ_low < UNKNOWN && known_to[start..=end].iter().all(|&bit| bit == before),
            "a scan of coefficients {start} to {end}, bits {} to {}, does not continue the previous scans",
            header.succ_high,
            header.succ_low
        );
        known_to[start..=end].fill(header.succ_low);
        Ok(())
    }

    /// Decodes one MCU: a single block in a scan of one component, otherwise all blocks of every component that the MCU covers.
    fn read_mcu(&mut self, decoder: &mut Decoder, parts: &[Part], (x, y): (usize, usize)) -> Result<()> {
        for part in parts {
            let grid = &mut self.grids[part.component];
            let (h, v) = if parts.len() == 1 { (1, 1) } else { grid.factors };
            for row in y * v..(y + 1) * v {
                for block in &mut grid.blocks[row * grid.stride + x * h..][..h] {
                    decoder.read(part, block)?;
                }
            }
        }
        Ok(())
    }

    /// Errors if a coefficient has bits that no scan has provided.
    pub fn check_complete(&self) -> Result<()> {
        let complete = self.grids.iter().all(|grid| grid.known_to == [0; 64]);
        ensure!(complete, "the file is truncated: the last scans are missing");
        Ok(())
    }
}

impl Grid {
    /// Dequantizes the coefficients and applies the inverse DCT, as in `jidctint.c`.
    pub fn samples(&self, table: &QuantTable) -> Samples {
        let stride = 8 * self.stride;
        let mut values = vec![0; 64 * self.blocks.len()];
        for (i, block) in self.blocks.iter().enumerate() {
            let scaled = std::array::from_fn(|k| block[k].wrapping_mul(table.values[k] as i16));
            let corner = i / self.stride * 8 * stride + i % self.stride * 8;
            for (row, line) in idct_8x8(&scaled).as_chunks::<8>().0.iter().enumerate() {
                let into = &mut values[corner + row * stride..][..8];
                into.iter_mut().zip(line).for_each(|(to, &from)| *to = (i32::from(from) + 128).clamp(0, 255) as u8);
            }
        }
        Samples { factors: self.factors, stride, values }
    }
}

/// A component of a scan, with its Huffman tables.
struct Part<'a> {
    component: usize,
    dc: Option<&'a HuffmanTable>,
    ac: Option<&'a HuffmanTable>,
}

/// Decoder state between two restart markers.
struct Decoder<'a> {
    reader: BitReader<'a>,
    length: usize,
    mcu: McuDecoder,
    dc: [i16; 4],
    /// Number of upcoming blocks without coefficients in the scan's band (end-of-band run).
    eob_run: u16,
    progressive: bool,
    scan: &'a ScanInfo,
}

impl<'a> Decoder<'a> {
    fn new(data: &'a [u8], scan: &'a ScanInfo, progressive: bool) -> Self {
        let (reader, mcu) = (BitReader::new(data), McuDecoder::new(4));
        Self { reader, length: data.len(), mcu, dc: [0; 4], eob_run: 0, progressive, scan }
    }

    fn read(&mut self, part: &Part, block: &mut Block) -> Result<()> {
        let dc = || part.dc.context("a Huffman table is missing");
        let ac = || part.ac.context("a Huffman table is missing");
        let (header, reader) = (&self.scan.header, &mut self.reader);
        let (start, end, low) = (header.spec_start, header.spec_end, header.succ_low);
        let read = match (self.progressive, start, header.succ_high) {
            (false, ..) => self.mcu.decode_block(reader, part.component, dc()?, ac()?, block),
            (true, 0, 0) => decode_dc_first(reader, dc()?, &mut self.dc[part.component], block, low),
            (true, 0, _) => decode_dc_refine(reader, block, low),
            (true, _, 0) => decode_ac_first(reader, ac()?, block, start, end, low, &mut self.eob_run),
            (true, ..) => decode_ac_refine(reader, ac()?, block, start, end, low, &mut self.eob_run),
        };
        ensure!(!self.reader.insufficient_data(), "the image data ends early");
        read.map_err(|e| anyhow!("{e}"))
    }

    /// Finishes decoding a segment; returns the number of unused bytes. Errors if an end-of-band run exceeds the segment.
    fn finish(mut self) -> Result<usize> {
        ensure!(self.eob_run == 0, "the image data ends early");
        self.reader.peek_bits(16);
        let state = self.reader.state();
        let bits = u32::from(state.bits_left).saturating_sub(state.stuffed_bits);
        Ok(bits as usize / 8 + self.length.saturating_sub(state.pos))
    }
}

/// Splits the data of a scan at restart markers. Errors if they are not numbered 0 to 7 cyclically.
fn segments(data: &[u8]) -> Result<Vec<&[u8]>> {
    let (mut segments, mut start) = (Vec::new(), 0);
    for (at, pair) in data.windows(2).enumerate() {
        if let [0xff, marker @ 0xd0..=0xd7] = pair {
            ensure!(usize::from(marker - 0xd0) == segments.len() % 8, "the restart markers are out of order");
            segments.push(&data[start..at]);
            start = at + 2;
        }
    }
    segments.push(&data[start..]);
    Ok(segments)
}
