//! Stand-in for the Parquet reader in builds without the `parquet` feature.

use crate::data::Dataset;
use anyhow::{Result, bail};
use std::path::Path;

/// Always errors, because this build cannot read Parquet files.
pub fn open(_: &str) -> Result<Dataset> {
    bail!("this build cannot read Parquet files; build gradscope with --features parquet")
}

/// Whether a path is a Parquet file.
pub fn fits(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "parquet")
}

/// Always false, because this build cannot read Parquet files.
pub fn has_training(_: &Path) -> bool {
    false
}
