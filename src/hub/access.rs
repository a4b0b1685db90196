//! The interface to callers: whether missing files may be downloaded, how progress is reported, and which files were found.

use anyhow::Result;
use std::path::PathBuf;
use std::sync::Arc;

/// A callback that is called several times a second during a download; an error that it returns cancels the download.
pub type Watcher = Arc<dyn Fn(&Transfer) -> Result<()> + Send + Sync>;

/// Whether files missing from the caches may be downloaded.
#[derive(Clone, Default)]
pub enum Access {
    /// Only cached files are used.
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
    /// URL of the file.
    pub from: String,
    /// Number of bytes downloaded so far.
    pub done: u64,
    /// Size of the file in bytes, if known.
    pub total: Option<u64>,
}

/// The files of a network on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The weight file, the index of its shards, or the graph file; card files are next to it.
    pub file: PathBuf,
    /// The hub name with the resolved revision, which always refers to the same files.
    pub name: String,
    /// The network's name on the hub: the repository's name without its owner, or torchvision's name.
    pub title: String,
}
