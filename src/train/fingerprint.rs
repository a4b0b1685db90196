//! SHA-256 fingerprints of weights and data sets, which ensure that a checkpoint is resumed with the same weights and data set.

use crate::data::Dataset;
use anyhow::Result;
use candle_core::{DType, Tensor};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The values of a tensor as little-endian float32 bytes.
pub(super) fn bytes(t: &Tensor) -> Result<Vec<u8>> {
    let values = t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(values.into_iter().flat_map(f32::to_le_bytes).collect())
}

/// SHA-256 of the names and values of weights, in hexadecimal.
pub(super) fn of_weights(weights: &BTreeMap<String, Tensor>) -> Result<String> {
    let mut hash = Sha256::new();
    for (name, weight) in weights {
        hash.update(name);
        hash.update(bytes(weight)?);
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// SHA-256 of the labels of a data set, in hexadecimal.
pub(super) fn of_labels(data: &Dataset) -> String {
    let labels: Vec<u8> = (0..data.len()).flat_map(|i| (data.label(i) as u64).to_le_bytes()).collect();
    Sha256::digest(&labels).iter().map(|b| format!("{b:02x}")).collect()
}
