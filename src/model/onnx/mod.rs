//! Converts ONNX files to graphs.
//!
//! A file is decoded (`program`), operators that do not depend on the picture are evaluated (`constants`), layers that exporters
//! decompose are recomposed (`patterns`), and each remaining operator becomes nodes (`lower`) named after its PyTorch module.

#[allow(missing_docs)]
mod proto;
mod tensor;
pub(in crate::model) mod program;
mod evaluate;
mod resample;
mod lower;
mod constants;
mod patterns;
mod strided;
mod preprocessing;
mod labels;
mod convert;
mod build;
pub mod conformance;

pub(in crate::model) use build::build;
pub use build::{Network, ReadOptions, read};
