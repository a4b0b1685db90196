//! The result of reading a weight file: its tensors and its hash.

use candle_core::Tensor;
use std::collections::BTreeMap;

/// The error message for a file that ends early.
pub const CUT: &str = "the file is damaged or truncated";

/// Tensors by their names in the file.
pub type Tensors = BTreeMap<String, Tensor>;

/// The contents of a weight file.
#[derive(Clone, Debug)]
pub struct Weights {
    /// The tensors with the file's dtypes: f32, f16, bf16 or f64; signed integers are converted to i64, bytes and booleans to u8.
    pub tensors: Tensors,
    /// SHA-256 of the file, in hexadecimal. For shards, the hash of the concatenated files, ordered by file name.
    pub hash: String,
}
