//! Pictures and data sets, read from files or generated.

pub mod notes;
pub mod file;
pub mod disk;
pub mod lock;
pub mod loading;
pub mod recent_folders;
mod interpolation;
pub mod resample;
mod part;
mod labels;
mod whole;
pub mod formats;
pub mod picture;
pub mod preprocess;
pub mod stored;
pub mod dataset;
pub mod synthetic;
pub mod source;
mod identity;
#[cfg(test)]
#[path = "../../tests/common/png.rs"]
pub(crate) mod damaged;

pub use dataset::Dataset;
pub use disk::{create_folder, wait_for_writes, write_whole};
pub use file::{open, read_text, read_whole, sha256, sha256_of_file};
pub use formats::npy::{npy_bytes, read_npy, write_npy};
pub use interpolation::Interpolation;
pub use labels::{Labels, wordnet_id};
pub use part::Split;
pub use picture::Picture;
pub(crate) use picture::check_size;
pub use preprocess::{Preprocess, pixels};
