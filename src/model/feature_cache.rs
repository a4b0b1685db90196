//! A file cache of feature rows. Each row has a checksum, so that torn writes are detected.

use crate::data::disk::write_at;
use crate::words;
use anyhow::{Context, Result};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

/// Maximum total size of the cache files in a folder, in bytes; the least recently used files are deleted first.
const LIMIT: u64 = 4 << 30;
/// Size of the checksum after each row, in bytes.
const SUM: usize = 8;

/// A file of feature rows of equal width, by index; rows that were never written are absent.
pub struct FeatureCache {
    file: File,
    width: usize,
}

impl FeatureCache {
    /// Opens or creates the cache file `name` in a folder. Several processes may have it open at once, because they all write the
    /// same values to the same row.
    ///
    /// Errors if the folder or file cannot be created or opened.
    pub fn open(folder: &Path, name: &str, width: usize) -> Result<Self> {
        let what = || format!("caching features in \"{}\"", words::path(&folder));
        std::fs::create_dir_all(folder).with_context(what)?;
        let path = folder.join(format!("{name}.features"));
        prune(folder, &path);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(what)?;
        // Records the time of last use for `prune`.
        let _ = file.set_modified(SystemTime::now());
        Ok(Self { file, width })
    }

    /// Reads row `number` into `row`; returns false if the row is absent or damaged.
    pub fn read(&mut self, number: usize, row: &mut [f32]) -> Result<bool> {
        let mut bytes = vec![0u8; self.record()];
        self.file.seek(SeekFrom::Start((number * self.record()) as u64))?;
        match self.file.read_exact(&mut bytes) {
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            read => read.context("reading cached features")?,
        }
        let (values, told) = bytes.split_at(4 * self.width);
        if told != sum(values) {
            return Ok(false);
        }
        for (v, b) in row.iter_mut().zip(values.chunks_exact(4)) {
            *v = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        }
        Ok(true)
    }

    /// Writes row `number` and its checksum.
    pub fn write(&mut self, number: usize, row: &[f32]) -> Result<()> {
        let mut bytes: Vec<u8> = row.iter().flat_map(|v| v.to_le_bytes()).collect();
        bytes.extend(sum(&bytes));
        self.file.seek(SeekFrom::Start((number * self.record()) as u64))?;
        write_at(&mut self.file, &bytes).context("caching features")
    }

    fn record(&self) -> usize {
        4 * self.width + SUM
    }
}

/// Checksum of a row: FNV-1a over 8 bytes at a time. It is never 0, because the checksum of an absent row reads as 0.
fn sum(values: &[u8]) -> [u8; SUM] {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for part in values.chunks(8) {
        let mut word = [0u8; 8];
        word[..part.len()].copy_from_slice(part);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }
    hash.max(1).to_le_bytes()
}

/// Deletes the least recently used cache files in a folder, except `keep`, until the rest fit within [`LIMIT`]. Files that cannot
/// be deleted are ignored.
fn prune(folder: &Path, keep: &Path) {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = files
        .filter(|f| f.path().extension().is_some_and(|e| e == "features") && f.path() != keep)
        .filter_map(|f| f.metadata().ok().map(|m| (m.modified().unwrap_or(SystemTime::UNIX_EPOCH), m.len(), f.path())))
        .collect();
    files.sort();
    let mut held: u64 = files.iter().map(|f| f.1).sum();
    for (_, bytes, path) in files {
        if held <= LIMIT {
            break;
        }
        held -= bytes;
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_persist_when_the_file_is_reopened_and_unwritten_rows_are_absent() {
        let folder = tempfile::tempdir().unwrap();
        let mut row = [0f32; 3];
        let mut store = FeatureCache::open(folder.path(), "a", 3).unwrap();
        assert!(!store.read(0, &mut row).unwrap());
        store.write(5, &[1.0, -2.0, f32::MIN_POSITIVE]).unwrap();
        let mut store = FeatureCache::open(folder.path(), "a", 3).unwrap();
        assert!((0..5).all(|i| !store.read(i, &mut row).unwrap()) && !store.read(6, &mut row).unwrap());
        assert!(store.read(5, &mut row).unwrap());
        assert_eq!(row, [1.0, -2.0, f32::MIN_POSITIVE]);
    }

    #[test]
    fn a_row_with_a_changed_byte_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        FeatureCache::open(folder.path(), "a", 2).unwrap().write(0, &[1.0, 2.0]).unwrap();
        let path = folder.path().join("a.features");
        let whole = std::fs::read(&path).unwrap();
        for i in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[i] ^= 4;
            std::fs::write(&path, &bytes).unwrap();
            assert!(!FeatureCache::open(folder.path(), "a", 2).unwrap().read(0, &mut [0.0; 2]).unwrap(), "byte {i}");
        }
        std::fs::write(&path, &whole[..9]).unwrap();
        assert!(!FeatureCache::open(folder.path(), "a", 2).unwrap().read(0, &mut [0.0; 2]).unwrap());
    }
}
