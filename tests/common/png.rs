//! A PNG with an invalid palette, which no encoder writes.

use std::io::Write;

/// A 4x4 picture in 256 colors with a palette of this many bytes; `png` panics if that is not a multiple of 3.
pub fn png_with_palette(bytes: usize) -> Vec<u8> {
    let chunk = |kind: &[u8], data: &[u8]| {
        let mut sum = flate2::Crc::new();
        sum.update(&[kind, data].concat());
        [&(data.len() as u32).to_be_bytes(), kind, data, &sum.sum().to_be_bytes()].concat()
    };
    let mut rows = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    rows.write_all(&[0, 250, 3, 100, 0].repeat(4)).unwrap();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &[0, 0, 0, 4, 0, 0, 0, 4, 8, 3, 0, 0, 0]),
        chunk(b"PLTE", &vec![90; bytes]),
        chunk(b"IDAT", &rows.finish().unwrap()),
        chunk(b"IEND", &[]),
    ]
    .concat()
}
