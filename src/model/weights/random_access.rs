//! Random access to bytes in memory or in a file, from several threads at once.

use crate::data::open;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::path::Path;

/// A sequence of bytes that can be read from any offset, by several threads at once.
pub trait RandomAccess: Sync {
    /// Total number of bytes.
    fn length(&self) -> u64;

    /// Reads bytes from offset `at` into `to` and returns the number of bytes read, which is 0 beyond the end.
    fn read_at(&self, to: &mut [u8], at: u64) -> Result<usize>;

    /// A reader that starts at offset `start`.
    fn beginning(&self, start: u64) -> Reader<'_, Self> {
        Reader { of: self, at: start }
    }

    /// Reads `count` bytes from offset `start`. Errors if there are fewer.
    fn bytes(&self, start: u64, count: u64) -> Result<Vec<u8>> {
        if start.checked_add(count).is_none_or(|end| end > self.length()) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; count as usize];
        self.beginning(start).read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl RandomAccess for [u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, to: &mut [u8], at: u64) -> Result<usize> {
        usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default().read(to)
    }
}

/// A file on disk, with its length at the time it was opened.
pub struct StoredFile {
    file: File,
    length: u64,
}

impl StoredFile {
    /// Opens a regular file of at most `limit` bytes. Errors if the file cannot be opened or is larger.
    pub fn open(path: &Path, limit: u64) -> anyhow::Result<Self> {
        let file = open(path, limit)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }
}

impl RandomAccess for StoredFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, to: &mut [u8], at: u64) -> Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&self.file, to, at);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&self.file, to, at);
    }
}

/// A weight file on disk, or the bytes of a weight file in memory.
pub enum ByteSource {
    /// A file on disk.
    File(StoredFile),
    /// The bytes of a file in memory.
    Memory(Vec<u8>),
}

impl RandomAccess for ByteSource {
    fn length(&self) -> u64 {
        match self {
            Self::File(file) => file.length(),
            Self::Memory(bytes) => bytes[..].length(),
        }
    }

    fn read_at(&self, to: &mut [u8], at: u64) -> Result<usize> {
        match self {
            Self::File(file) => file.read_at(to, at),
            Self::Memory(bytes) => bytes[..].read_at(to, at),
        }
    }
}

/// A reader with its own position in a [`RandomAccess`] source.
pub struct Reader<'a, P: ?Sized> {
    of: &'a P,
    at: u64,
}

impl<P: RandomAccess + ?Sized> Read for Reader<'_, P> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        let count = self.of.read_at(to, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl<P: RandomAccess + ?Sized> Seek for Reader<'_, P> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.of.length().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
