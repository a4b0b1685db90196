//! Pictures that are read one at a time from files that contain many of them.

use super::picture::Picture;
use crate::words;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fmt::Debug;
use std::path::Path;

/// Pictures in archives and tables.
pub trait StoredPictures: Debug + Send + Sync {
    /// Number of pictures.
    fn count(&self) -> usize;

    /// Reads picture `i`, where `i` is less than [`count`](Self::count).
    ///
    /// Errors if the file has changed or the picture is damaged.
    fn picture(&self, i: usize) -> Result<Picture>;

    /// Location of picture `i`, such as `shard-000.tar/dog.jpg`; `None` if the pictures have no names.
    fn name(&self, _i: usize) -> Option<String> {
        None
    }

    /// Hashes the data that identifies the pictures.
    ///
    /// Errors if a file cannot be accessed.
    fn identify(&self, hash: &mut Sha256) -> Result<()>;
}

/// Adds the path, size and modification time of a file to a hash.
///
/// Errors if the file cannot be accessed.
pub fn identify_file(path: &Path, hash: &mut Sha256) -> Result<()> {
    let about = path.metadata().with_context(|| format!("reading metadata of \"{}\"", words::path(path)))?;
    let path = path.canonicalize().unwrap_or_else(|_| path.into());
    hash.update(format!("{} {} {:?};", path.to_string_lossy(), about.len(), about.modified().ok()));
    Ok(())
}
