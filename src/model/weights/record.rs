//! Uncompressed records of a zip archive.

use super::pickle::shown;
use super::random_access::RandomAccess;
use super::tensors::CUT;
use anyhow::{Context, Result, ensure};
use flate2::CrcReader;
use std::io::{BufReader, Read, Seek};
use zip::ZipArchive;

/// A range of bytes in a file: offset and length.
pub type ByteRange = (u64, u64);

/// An uncompressed record of a zip archive, with its byte range and checksum.
pub struct Record {
    name: String,
    pub(super) range: ByteRange,
    sum: u32,
}

impl Record {
    pub fn of<R: Read + Seek>(archive: &mut ZipArchive<R>, name: String) -> Result<Self> {
        let file = archive.by_name(&name).with_context(|| damaged(&name))?;
        ensure!(
            file.compression() == zip::CompressionMethod::Stored,
            "the records of the zip archive are compressed; torch.save writes them uncompressed"
        );
        let range = (file.data_start().with_context(|| damaged(&name))?, file.size());
        let sum = file.crc32();
        drop(file);
        Ok(Self { name, range, sum })
    }

    /// Reads the bytes of the record and verifies their checksum. Errors if they are damaged.
    pub fn read(&self, file: &(impl RandomAccess + ?Sized)) -> Result<Vec<u8>> {
        self.check(file)?;
        file.bytes(self.range.0, self.range.1).with_context(|| damaged(&self.name))
    }

    /// Verifies the checksum of the record. Errors if its bytes are damaged.
    pub fn check(&self, file: &(impl RandomAccess + ?Sized)) -> Result<()> {
        let (start, length) = self.range;
        let bytes = BufReader::with_capacity(1 << 18, file.beginning(start).take(length));
        let mut bytes = CrcReader::new(bytes);
        let count = std::io::copy(&mut bytes, &mut std::io::sink()).with_context(|| damaged(&self.name))?;
        ensure!(count == length, damaged(&self.name));
        ensure!(bytes.crc().sum() == self.sum, "{}: the checksum does not match", damaged(&self.name));
        Ok(())
    }
}

/// The error message for a record that cannot be read.
pub fn damaged(name: &str) -> String {
    format!("the record \"{}\" of the zip archive: {CUT}", shown(name))
}
