//! What callers allow and get: whether missing files may be downloaded, who watches downloads, and the files found.

use anyhow::Result;
use std::path::PathBuf;
use std::sync::Arc;

/// A function that is told about downloads several times a second; an error from it ends the download.
pub type Watcher = Arc<dyn Fn(&Transfer) -> Result<()> + Send + Sync>;

/// Whether files that no cache has may be downloaded.
#[derive(Clone, Default)]
pub enum Access {
    /// Files are only taken from caches.
    #[default]
    CacheOnly,
    /// Missing files are downloaded.
    Download(Watcher),
}

/// Progress of a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Name of the file.
    pub file: String,
    /// Address that the file comes from.
    pub from: String,
    /// Number of bytes that are already here.
    pub done: u64,
    /// Size of the file in bytes, if known.
    pub total: Option<u64>,
}

/// The files of a network on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The weight file, the index of its shards, or the graph file; card files lie beside it.
    pub file: PathBuf,
    /// The hub name with the revision that was found, with which the same files are found again.
    pub name: String,
    /// What the network is called on the hub: the repository's name without its owner, or torchvision's name.
    pub title: String,
}
