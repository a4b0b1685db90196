//! Formats of pictures, arrays and data sets that are read from files.

pub mod npy;
pub mod jpeg;
pub mod mnist;
pub mod cifar;
pub mod folder;
