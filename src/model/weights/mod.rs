//! Reads weight files: safetensors, and PyTorch's zip and legacy formats.
//!
//! Nothing in a file is executed. Sizes claimed by a file are checked against its actual size before memory is allocated. A
//! damaged file is an error.

pub(in crate::model) mod number;
pub(in crate::model) mod random_access;
mod names;
mod safetensors;
mod heap;
mod pickle;
mod torch;
mod state;
mod pth;
mod record;
mod archive;
mod shards;
mod tensors;

pub use archive::{Archive, StateDict, TensorEntry};
pub use names::{all_unwrapped, beside, counter, name_starts, optimizer, rank, secondary, unwrapped, wrappers};
pub use pickle::shown;
pub use shards::INDEX;
pub use tensors::{Tensors, Weights};

use crate::model::python::NoTensors;
use crate::panics::decoding;
use crate::words;
use anyhow::{Context, Error, Result, bail};
use random_access::{ByteSource, RandomAccess, StoredFile};
use std::path::Path;

/// File name extensions of weight files.
pub const ENDINGS: [&str; 6] = ["safetensors", "pt", "pth", "th", "bin", "ckpt"];

/// Maximum size of a weight file in bytes.
const LIMIT: u64 = 16 << 30;

/// Opens a weight file. `path` may also be one shard, the index or the folder of sharded weights. The format is detected from the
/// contents.
///
/// Errors if the file is not a weight file, is damaged or truncated, or contains no tensors, or if a shard is missing.
pub fn open(path: &Path) -> Result<Archive> {
    let reading = || format!("reading the weights \"{}\"", words::path(&path));
    let one = |path: &Path| {
        let source = ByteSource::File(StoredFile::open(path, LIMIT)?);
        opened(source).map_err(|error| match error.downcast::<NoTensors>() {
            Ok(network) => Error::new(network.of_file(path)),
            Err(error) => error,
        })
    };
    let archive = match shards::shards(path)? {
        Some(shards) => shards.open(|path| one(path).with_context(|| words::path(path))),
        None => one(path),
    };
    Ok(archive.with_context(reading)?.with_current_names())
}

/// Reads the tensors of a weight file. In a checkpoint, these are the ones in its `state_dict`, `model_state_dict`, `model` or
/// `net`. Wrapper segments in names, such as `module.` of `DataParallel`, are removed.
///
/// Errors under the same conditions as [`open`](open()) and [`Archive::read`].
pub fn read(path: &Path) -> Result<Weights> {
    open(path)?.all().with_context(|| format!("reading the weights \"{}\"", words::path(&path)))
}

/// Like [`read`](read()), for a weight file given as bytes.
pub fn parse(bytes: &[u8]) -> Result<Weights> {
    archive(bytes.to_vec())?.all()
}

/// Like [`open`](open()), for a weight file given as bytes.
pub fn archive(bytes: Vec<u8>) -> Result<Archive> {
    Ok(opened(ByteSource::Memory(bytes))?.with_current_names())
}

fn opened(source: ByteSource) -> Result<Archive> {
    let beginning = source.bytes(0, source.length().min(256))?;
    let legacy = beginning.starts_with(pth::TEXT_MAGIC) || beginning.starts_with(&[0x80]);
    match beginning[..] {
        [_, _, _, _, _, _, _, _, b'{', ..] => decoding("safetensors", || safetensors::open(source)),
        [b'P', b'K', 3, 4, ..] => decoding("zip", || pth::open_zip(source)),
        _ if legacy => decoding("pickle", || pth::open_legacy(source)),
        _ => bail!("{}; use a .safetensors file or a PyTorch file with a state_dict", kind(&beginning)),
    }
}

/// Describes what a file that is not a weight file appears to be, judging by its first bytes.
fn kind(bytes: &[u8]) -> &'static str {
    let beginnings: [(&[u8], &str); 6] = [
        (
            b"version https://git-lfs",
            "the file is a Git LFS pointer, not the weights themselves; fetch them with \"git lfs pull\"",
        ),
        (b"\x89HDF", "the file is an HDF5 file, as written by Keras"),
        (b"GGUF", "the file is a GGUF file"),
        (b"\x93NUMPY", "the file is a NumPy array"),
        (b"\x08", "the file looks like an ONNX graph"),
        (b"<", "the file is a web page, perhaps from a failed download"),
    ];
    let found = beginnings.iter().find(|(beginning, _)| bytes.starts_with(beginning));
    match found {
        Some((_, kind)) => kind,
        None if bytes.is_empty() => "the file is empty",
        None if std::str::from_utf8(bytes).is_ok() => "the file is text",
        None => "the file is not a weight file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_identify_the_format_of_other_files() {
        let error = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        assert!(error(b"").contains("empty"));
        assert!(error(b"version https://git-lfs.github.com/spec/v1").contains("git lfs pull"));
        assert!(error(b"<!DOCTYPE html>").contains("web page"));
        assert!(error(b"\x08\x06\x12\x07pytorch").contains("ONNX"));
        assert!(error(b"hello, world").contains("the file is text; use a .safetensors"));
        assert!(error(&[0xFF; 40]).contains("not a weight file"));
    }

    #[test]
    fn reading_ends_when_it_is_cancelled() {
        let header = br#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 8]].concat();
        assert!(parse(&bytes).is_ok());
        let cancelled: crate::interrupt::Probe = std::sync::Arc::new(|| Some("cancelled".into()));
        let error = crate::interrupt::within(cancelled, || parse(&bytes)).err().unwrap();
        assert!(error.chain().any(|cause| cause.to_string() == "cancelled"), "{error:#}");
    }
}
