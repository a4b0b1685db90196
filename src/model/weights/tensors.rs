//! The tensors of a weight file.

use candle_core::Tensor;
use std::collections::BTreeMap;

/// The error of a file that ends too early.
pub const CUT: &str = "the file is damaged or cut short";

/// Tensors by the names that the network's author gave them.
pub type Tensors = BTreeMap<String, Tensor>;

/// A weight file, read.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Its tensors, in the types that the file has: f32, f16, bf16 or f64; counters as i64, bytes and truth values as u8.
    pub tensors: Tensors,
    /// SHA-256 of the file, in hexadecimal; of shards, of their bytes in the order of their names.
    pub hash: String,
}
