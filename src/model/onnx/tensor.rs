//! Tensors of ONNX models, stored in the ONNX file or in external data files.

use super::proto::TensorProto;
use super::proto::tensor_proto::{DataLocation, DataType};
use crate::model::weights::number::{Number, count};
use crate::model::weights::random_access::StoredFile;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};
use std::path::{Component, Path};

/// Reads a tensor. Floats other than f64 are converted to f32, integers to i64, and booleans to u8. `folder` holds files with external
/// data.
pub fn read(t: &TensorProto, folder: Option<&Path>) -> Result<Tensor> {
    let name = words::name(t.name());
    values(t, folder).with_context(|| format!("reading the tensor \"{name}\""))
}

fn values(t: &TensorProto, folder: Option<&Path>) -> Result<Tensor> {
    let size = |&n: &i64| usize::try_from(n).with_context(|| format!("invalid size {n}"));
    let shape = t.dims.iter().map(size).collect::<Result<Vec<_>>>()?;
    let total = count(&shape)?;
    let number = number(t.data_type())?;
    let raw = if t.data_location() == DataLocation::External {
        external(t, number, &shape, folder)?
    } else if let Some(bytes) = &t.raw_data {
        number.tensor(bytes, &shape)?
    } else {
        let fits = |n: usize| ensure_count(n, total);
        let cpu = &Device::Cpu;
        match number {
            Number::F32 => {
                fits(t.float_data.len()).and_then(|()| Ok(Tensor::from_slice(&t.float_data, shape, cpu)?))?
            }
            Number::F64 => {
                fits(t.double_data.len()).and_then(|()| Ok(Tensor::from_slice(&t.double_data, shape, cpu)?))?
            }
            Number::I64 => {
                fits(t.int64_data.len()).and_then(|()| Ok(Tensor::from_slice(&t.int64_data, shape, cpu)?))?
            }
            // Smaller types are stored in int32 fields, f16 and bf16 as their bits.
            _ => {
                fits(t.int32_data.len())?;
                let all = t.int32_data.iter();
                match number {
                    Number::F16 => Tensor::from_iter(all.map(|&b| f16::from_bits(b as u16).to_f32()), cpu)?,
                    Number::Bf16 => Tensor::from_iter(all.map(|&b| bf16::from_bits(b as u16).to_f32()), cpu)?,
                    _ => Tensor::from_iter(all.map(|&n| i64::from(n)), cpu)?,
                }
                .reshape(shape)?
            }
        }
    };
    Ok(match number {
        Number::Bool => raw.to_dtype(DType::U8)?,
        Number::U8 => raw.to_dtype(DType::I64)?,
        _ if matches!(raw.dtype(), DType::F16 | DType::BF16) => raw.to_dtype(DType::F32)?,
        _ => raw,
    })
}

fn ensure_count(found: usize, wanted: usize) -> Result<()> {
    ensure!(found == wanted, "the tensor has {found} values instead of {wanted}");
    Ok(())
}

fn number(data_type: i32) -> Result<Number> {
    let known = DataType::try_from(data_type).ok().with_context(|| format!("unknown data type {data_type}"))?;
    Ok(match known {
        DataType::Float => Number::F32,
        DataType::Double => Number::F64,
        DataType::Float16 => Number::F16,
        DataType::Bfloat16 => Number::Bf16,
        DataType::Int64 => Number::I64,
        DataType::Int32 => Number::I32,
        DataType::Int16 => Number::I16,
        DataType::Int8 => Number::I8,
        DataType::Uint8 => Number::U8,
        DataType::Bool => Number::Bool,
        other => bail!(
            "data type {} is not supported; use float, double, float16, bfloat16, bool or an integer type",
            other.as_str_name()
        ),
    })
}

/// Reads a tensor from an external data file in the model's folder.
fn external(t: &TensorProto, number: Number, shape: &[usize], folder: Option<&Path>) -> Result<Tensor> {
    let entry = |key: &str| t.external_data.iter().find(|e| e.key() == key).map(|e| e.value());
    let location = entry("location").context("the external data has no location")?;
    let folder = folder.context("the values are in another file, but the network was not read from a file")?;
    let file = Path::new(location);
    let inside = file.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    ensure!(inside, "the values are in \"{}\", which is outside the folder of the .onnx file", words::name(location));
    let path = folder.join(file);
    let offset: u64 =
        entry("offset").unwrap_or("0").parse().context("the offset of the external data is not a number")?;
    let length = count(shape)?.checked_mul(number.size()).context("the tensor is too large")?;
    if let Some(said) = entry("length") {
        ensure!(said.parse().ok() == Some(length), "the external data has {said} bytes instead of {length}");
    }
    let opening = || format!("the values are in \"{}\", which must be next to the .onnx file", words::path(&path));
    let stored = StoredFile::open(&path, u64::MAX).with_context(opening)?;
    number.read(&stored, offset, length, shape).with_context(opening)
}
