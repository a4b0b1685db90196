//! The archive of a `.pt2` file: the program, and the parameters and constants by name.

use crate::data::open;
use crate::model::python::{NoGraph, Saved, WithoutGraph};
use crate::model::weights;
use crate::model::weights::number::{Number, count};
use crate::panics::decoding;
use crate::words;
use anyhow::{Context, Error, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

/// Maximum size of the program in bytes.
const MAX_PROGRAM: u64 = 512 << 20;

/// The contents of a `.pt2` file.
pub struct Archive {
    /// The exported program, `models/model.json`.
    pub program: Value,
    /// Parameters, buffers and constants by name.
    pub tensors: HashMap<String, Tensor>,
}

impl Archive {
    /// Reads an archive.
    ///
    /// Errors if the archive is damaged, or was not written by a supported version of `torch.export.save`.
    pub fn open(path: &Path) -> Result<Self> {
        let file = BufReader::new(open(path, u64::MAX)?);
        let mut zip = ZipArchive::new(file).context("the file is not a zip archive, or it is damaged")?;
        let names: Vec<String> = zip.file_names().map(String::from).collect();
        let found = |end: &str| names.iter().find(|name| name.ends_with(end)).cloned();
        let Some(program) = found("models/model.json") else { return Err(without_program(path)) };
        let folder = program.trim_end_matches("models/model.json").to_string();
        let program: Value = json(&mut zip, &program)?;
        let major = program["schema_version"]["major"].as_u64();
        ensure!(
            major == Some(8),
            "the schema of the file has version {}; only version 8, written by PyTorch 2.5 and later, is supported",
            major.map_or_else(|| "unknown".into(), |v| v.to_string())
        );
        let mut tensors = HashMap::new();
        for kind in ["weights", "constants"] {
            let part = format!("{folder}data/{kind}");
            let Some(config) = names.iter().find(|name| name.starts_with(&part) && name.ends_with("_config.json"))
            else {
                continue;
            };
            let config = json(&mut zip, config)?;
            for (name, entry) in config["config"].as_object().into_iter().flatten() {
                let what = || format!("reading the tensor \"{}\"", words::name(name));
                tensors.insert(name.clone(), tensor(&mut zip, &part, entry).with_context(what)?);
            }
        }
        Ok(Self { program, tensors })
    }
}

/// The error for an archive without an exported program, such as one with only weights or with a TorchScript program.
fn without_program(path: &Path) -> Error {
    let what = "the file has no models/model.json, which torch.export.save writes";
    match weights::open(path) {
        Ok(archive) => archive.without_graph(None).error(what, path).into(),
        Err(error) if error.root_cause().is::<NoGraph>() => error,
        Err(_) => WithoutGraph { saved: Saved::Other, ..WithoutGraph::default() }.error(what, path).into(),
    }
}

fn json<R: Read + std::io::Seek>(zip: &mut ZipArchive<R>, name: &str) -> Result<Value> {
    let bytes = bytes(zip, name, MAX_PROGRAM)?;
    decoding("JSON", || serde_json::from_slice(&bytes))
        .with_context(|| format!("\"{}\" is not JSON", words::name(name)))
}

fn bytes<R: Read + std::io::Seek>(zip: &mut ZipArchive<R>, name: &str, limit: u64) -> Result<Vec<u8>> {
    let file = zip.by_name(name).with_context(|| format!("the archive has no file \"{}\"", words::name(name)))?;
    let mut bytes = vec![];
    file.take(limit + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= limit, "\"{}\" is larger than {limit} bytes", words::name(name));
    Ok(bytes)
}

/// Reads a tensor: the view of its storage specified by sizes, strides and offset.
fn tensor<R: Read + std::io::Seek>(zip: &mut ZipArchive<R>, folder: &str, entry: &Value) -> Result<Tensor> {
    ensure!(entry["use_pickle"].as_bool() != Some(true), "pickled tensors are not supported");
    let meta = &entry["tensor_meta"];
    let list = |key: &str| -> Result<Vec<usize>> {
        let all = meta[key].as_array().with_context(|| format!("the tensor has no {key}"))?;
        all.iter().map(|v| size(v).with_context(|| format!("invalid {key}: {v}"))).collect()
    };
    let (sizes, strides) = (list("sizes")?, list("strides")?);
    let offset = size(&meta["storage_offset"]).unwrap_or(0);
    let number = match meta["dtype"].as_u64() {
        Some(1) => Number::U8,
        Some(2) => Number::I8,
        Some(3) => Number::I16,
        Some(4) => Number::I32,
        Some(5) => Number::I64,
        Some(6) => Number::F16,
        Some(7) => Number::F32,
        Some(8) => Number::F64,
        Some(12) => Number::Bool,
        Some(13) => Number::Bf16,
        other => bail!("data type {other:?} is not supported"),
    };
    let total = count(&sizes)?;
    let path = entry["path_name"].as_str().context("the tensor has no path")?;
    // A tensor may be a view of a larger storage, but the size of the storage is limited.
    let most = total.checked_mul(number.size()).context("the tensor is too large")? as u64;
    let storage = bytes(zip, &format!("{folder}/{path}"), most.max(1 << 20).saturating_mul(64))?;
    let stored = number.tensor(&storage, &[storage.len() / number.size()])?;
    let (values, kind) = match stored.dtype() {
        DType::I64 | DType::U8 => {
            (stored.to_dtype(DType::I64)?, if number == Number::Bool { DType::U8 } else { DType::I64 })
        }
        DType::F64 => (stored, DType::F64),
        _ => (stored.to_dtype(DType::F32)?, DType::F32),
    };
    let mut expected = vec![1; sizes.len()];
    for d in (0..sizes.len().saturating_sub(1)).rev() {
        expected[d] = expected[d + 1] * sizes[d + 1].max(1);
    }
    ensure!(sizes.len() == strides.len(), "the tensor has {} sizes and {} strides", sizes.len(), strides.len());
    let contiguous = sizes.iter().zip(&strides).zip(&expected).all(|((&n, s), e)| n <= 1 || s == e);
    if contiguous {
        ensure!(
            offset + total <= values.elem_count(),
            "the tensor extends beyond its storage of {} values",
            values.elem_count()
        );
        return Ok(values.narrow(0, offset, total)?.reshape(sizes)?.to_dtype(kind)?);
    }
    let mut elements = vec![];
    let mut index = vec![0usize; sizes.len()];
    for _ in 0..total {
        let element = offset + index.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>();
        ensure!(element < values.elem_count(), "the strides of the tensor extend beyond its storage");
        elements.push(u32::try_from(element).context("the storage of the tensor is too large")?);
        for d in (0..sizes.len()).rev() {
            index[d] += 1;
            if index[d] < sizes[d] {
                break;
            }
            index[d] = 0;
        }
    }
    Ok(values.index_select(&Tensor::new(elements, &Device::Cpu)?, 0)?.reshape(sizes)?.to_dtype(kind)?)
}

/// Reads a size, serialized as `{"as_int": n}`.
fn size(value: &Value) -> Option<usize> {
    usize::try_from(value["as_int"].as_u64()?).ok()
}
