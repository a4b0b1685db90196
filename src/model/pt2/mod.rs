//! `.pt2` files, written by `torch.export.save`, as graphs.
//!
//! A file is a zip archive with a program in JSON and the weights as raw bytes. Its ATen operators are rewritten as ONNX operators
//! (`operators`), so that both formats share the conversion of operators to nodes; modules and parameters keep their PyTorch names.

mod archive;
mod arguments;
mod in_place;
mod operators;

use crate::model::onnx::{self, Network, ReadOptions};
use crate::panics::decoding;
use anyhow::{Context, Result};
use std::path::Path;

/// Reads a network from a `.pt2` file.
///
/// Errors if the file is damaged or contains unsupported operators.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Network> {
    decoding(".pt2", || {
        let archive = archive::Archive::open(path)?;
        let program = operators::program(&archive).context("reading the program")?;
        onnx::build(program, options)
    })
}
