//! ONNX files as graphs.
//!
//! A file is decoded ([`program`]), what does not depend on the picture is computed ([`evaluate`]), layers that exporters take apart
//! are put together again ([`patterns`]), and each operator left becomes nodes ([`lower`]) named by its PyTorch module.

#[allow(missing_docs)]
mod proto;
mod tensor;
pub(in crate::model) mod program;
mod evaluate;
mod resample;
mod patterns;
mod preprocessing;
mod lower;
mod labels;
mod convert;
mod build;
pub mod conformance;

pub(in crate::model) use build::build;
pub use build::{Network, ReadOptions, read};
