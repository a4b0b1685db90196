//! Bytes that several threads read at once.

use std::fs::File;
use std::io::{Read, Result};

/// Bytes, in memory or in a file, that can be read from any place.
pub trait Pieces: Sync {
    /// What begins `start` bytes in; nothing, where that is beyond the end.
    fn beginning(&self, start: u64) -> impl Read;
}

impl Pieces for [u8] {
    fn beginning(&self, start: u64) -> impl Read {
        usize::try_from(start).ok().and_then(|start| self.get(start..)).unwrap_or_default()
    }
}

impl Pieces for File {
    fn beginning(&self, start: u64) -> impl Read {
        Piece { file: self, at: start }
    }
}

/// A file from some place on; the file's own place is nobody's.
struct Piece<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Piece<'_> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        #[cfg(unix)]
        let count = std::os::unix::fs::FileExt::read_at(self.file, to, self.at)?;
        #[cfg(windows)]
        let count = std::os::windows::fs::FileExt::seek_read(self.file, to, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
