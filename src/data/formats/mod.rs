//! Readers of picture, array and data set formats.

pub mod npy;
pub mod jpeg;
pub mod mnist;
pub mod cifar;
pub mod folder;
