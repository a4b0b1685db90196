//! Readers of picture, array and data set formats.

pub mod npy;
pub mod jpeg;
pub mod mnist;
pub(crate) mod pickle;
pub mod cifar;
pub mod list;
pub mod folder;
pub mod npz;
pub mod webdataset;
#[cfg(feature = "parquet")]
pub mod parquet;
#[cfg(not(feature = "parquet"))]
#[path = "no_parquet.rs"]
pub mod parquet;
