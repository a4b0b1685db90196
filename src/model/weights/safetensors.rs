//! The safetensors format: a JSON header with names, types, shapes and byte offsets, then the values.

use super::archive::{Archive, StateDict, TensorEntry};
use super::number::Number;
use super::random_access::{ByteSource, RandomAccess};
use super::shown;
use crate::model::python::Saved;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::HashSet;
use std::fmt;
use std::io::Read;

/// Maximum size of a header in bytes, as defined by the format.
const HEADER: u64 = 100_000_000;

/// Opens a safetensors file by reading its header.
///
/// Errors if the file is damaged or truncated, or contains no tensors.
pub fn open(file: ByteSource) -> Result<Archive> {
    let damaged = "the safetensors file is damaged or truncated";
    let len = file.length();
    let mut size = [0; 8];
    file.beginning(0).read_exact(&mut size).context(damaged)?;
    let size = u64::from_le_bytes(size);
    ensure!(size <= HEADER, damaged);
    let header = file.bytes(8, size).context(damaged)?;
    let Header(mut tensors) = serde_json::from_slice(&header).context(damaged)?;
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(twice) = tensors.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        bail!("{damaged}: the header has a duplicate entry \"{}\"", shown(&twice[0].0));
    }
    ensure!(len - 8 - size == data_len(&tensors).context(damaged)? as u64, damaged);
    let entry = |(name, info): (String, TensorInfo)| {
        let (start, end) = info.data_offsets;
        let range = (8 + size + start as u64, (end - start) as u64);
        (name, TensorEntry::whole(number(info.dtype), info.shape, range))
    };
    let tensors = tensors.into_iter().map(entry).collect();
    let dict = StateDict { tensors, saved: Saved::Safetensors, ..StateDict::default() };
    ensure!(!dict.tensors.is_empty(), "the file contains no tensors");
    Ok(Archive::of(file, vec![dict], Vec::new()))
}

/// Total size of the tensors in bytes. Errors if there are gaps between tensors or if tensors overlap.
fn data_len(tensors: &[(String, TensorInfo)]) -> Result<usize> {
    let mut sorted: Vec<_> = tensors.iter().collect();
    sorted.sort_by_key(|(_, info)| info.data_offsets);
    sorted.iter().try_fold(0, |end, (name, info)| {
        let name = shown(name);
        let (start, stop) = info.data_offsets;
        ensure!(start == end, "tensor \"{name}\" begins at byte {start}, but the tensor before it ends at byte {end}");
        let numbers = info.shape.iter().copied().try_fold(1usize, usize::checked_mul);
        let bits = numbers.and_then(|numbers| numbers.checked_mul(info.dtype.bitsize()));
        let fits = bits.is_some_and(|bits| bits.is_multiple_of(8) && start.checked_add(bits / 8) == Some(stop));
        ensure!(fits, "tensor \"{name}\" of shape {:?} cannot occupy bytes {start} to {stop}", info.shape);
        Ok(stop)
    })
}

/// A safetensors header: the names and descriptions of its tensors, in order.
struct Header(Vec<(String, TensorInfo)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Header, A::Error> {
                let (mut tensors, mut metadata) = (vec![], false);
                while let Some(key) = map.next_key::<String>()? {
                    if key == "__metadata__" {
                        if std::mem::replace(&mut metadata, true) {
                            return Err(A::Error::custom("the header has a duplicate entry \"__metadata__\""));
                        }
                        map.next_value::<Texts>()?;
                        continue;
                    }
                    match map.next_value() {
                        Ok(info) => tensors.push((key, info)),
                        Err(error) => {
                            let why = error.to_string();
                            // The position is omitted, because it is reported once for the whole header.
                            let why = why.split(" at line ").next().unwrap_or_default();
                            let (name, why) = (shown(&key), words::line(why));
                            return Err(A::Error::custom(format!("tensor \"{name}\": {why}")));
                        }
                    }
                }
                Ok(Header(tensors))
            }
        }
        from.deserialize_map(Entries)
    }
}

/// The metadata of a safetensors header: a map of strings without duplicate keys.
struct Texts;

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Texts, A::Error> {
                let mut seen = HashSet::new();
                while let Some((key, _)) = map.next_entry::<String, String>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(format!(
                            "the metadata has a duplicate entry \"{}\"",
                            shown(&key)
                        )));
                    }
                }
                Ok(Texts)
            }
        }
        from.deserialize_map(Entries)
    }
}

fn number(dtype: Dtype) -> Number {
    match dtype {
        Dtype::F64 => Number::F64,
        Dtype::F32 => Number::F32,
        Dtype::F16 => Number::F16,
        Dtype::BF16 => Number::Bf16,
        Dtype::I64 => Number::I64,
        Dtype::I32 => Number::I32,
        Dtype::I16 => Number::I16,
        Dtype::I8 => Number::I8,
        Dtype::U8 => Number::U8,
        Dtype::BOOL => Number::Bool,
        Dtype::U16 => Number::Unread("U16", 2),
        Dtype::U32 => Number::Unread("U32", 4),
        Dtype::U64 => Number::Unread("U64", 8),
        Dtype::C64 => Number::Unread("C64", 8),
        Dtype::F8_E4M3 => Number::Unread("F8_E4M3", 1),
        Dtype::F8_E5M2 => Number::Unread("F8_E5M2", 1),
        Dtype::F8_E8M0 => Number::Unread("F8_E8M0", 1),
        _ => Number::Unread("smaller than a byte", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(header: &str, data: usize) -> Result<Archive> {
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat();
        open(ByteSource::Memory(bytes))
    }

    #[test]
    fn a_duplicate_key_is_an_error_that_names_it() {
        let of = |name: &str, start: usize| {
            format!(r#""{name}":{{"dtype":"F32","shape":[1],"data_offsets":[{start},{}]}}"#, start + 4)
        };
        let error = |header: String, data| format!("{:#}", opened(&header, data).err().unwrap());
        assert!(opened(&format!("{{{},{}}}", of("a", 0), of("b", 4)), 8).is_ok());
        for (first, second) in [("conv1.weight", "conv1.weight"), ("w", "\\u0077"), ("", "")] {
            let said = error(format!("{{{},{}}}", of(first, 0), of(second, 4)), 8);
            assert!(said.contains(&format!("duplicate entry \"{first}\"")), "{said}");
            // Two entries that share their data are also an error.
            let said = error(format!("{{{},{}}}", of(first, 0), of(second, 0)), 4);
            assert!(said.contains("duplicate entry"), "{said}");
        }
        let metadata = |inner: &str| format!("{{\"__metadata__\":{{{inner}}},{}}}", of("a", 0));
        assert!(opened(&metadata(r#""x":"1","y":"1""#), 4).is_ok());
        assert!(error(metadata(r#""x":"1","x":"2""#), 4).contains("metadata has a duplicate entry \"x\""));
        assert!(
            error(format!("{{\"__metadata__\":{{}},\"__metadata__\":{{}},{}}}", of("a", 0)), 4)
                .contains("__metadata__")
        );
        let twice = r#"{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        assert!(error(twice.into(), 4).contains("tensor \"a\": duplicate field"));
        assert!(
            error(of("a", 0).replace("F32", "F99").replacen('"', "{\"", 1) + "}", 4)
                .contains("tensor \"a\": unknown variant")
        );
    }
}
