//! An open weight file, which lists the names and shapes in its state dicts and reads the values of tensors on demand.

use super::number::{Number, count};
use super::random_access::{ByteSource, RandomAccess};
use super::record::{ByteRange, Record};
use super::tensors::{CUT, Tensors, Weights};
use super::{names, pickle};
use crate::data::loading::Loading;
use crate::interrupt::{self, InterruptProbe};
use crate::memory::reserve;
use crate::model::python::{Saved, WithoutGraph};
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;

/// A weight file, or all shards of one set of weights.
pub struct Archive {
    pub(super) files: Vec<File>,
    /// The state dicts, in file order; at least one.
    pub dicts: Vec<StateDict>,
}

/// A file of an archive, and its zip records, if it has any.
pub struct File {
    pub(super) source: ByteSource,
    pub(super) records: Vec<Record>,
}

/// A state dict: tensors by name.
#[derive(Debug, Default)]
pub struct StateDict {
    /// Path of the state dict within the checkpoint, such as `model_ema`; empty at the root.
    pub key: String,
    /// The tensors, by name.
    pub tensors: BTreeMap<String, TensorEntry>,
    /// Tensors that could not be read because they are created by an unsupported PyTorch function: name of the tensor, and name of the
    /// function.
    pub unread: BTreeMap<String, String>,
    /// How the file was saved.
    pub saved: Saved,
}

/// The location and format of a tensor in a weight file. Element `(i, j, …)` is at index
/// `offset + i · stride[0] + j · stride[1] + …` of its storage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorEntry {
    /// The shape of the tensor.
    pub shape: Vec<usize>,
    pub(super) number: Number,
    pub(super) file: usize,
    pub(super) storage: ByteRange,
    pub(super) offset: usize,
    pub(super) stride: Vec<usize>,
}

impl Archive {
    /// Creates an archive that consists of one file.
    pub(super) fn of(source: ByteSource, dicts: Vec<StateDict>, records: Vec<Record>) -> Self {
        Self { files: vec![File { source, records }], dicts }
    }

    /// Gives tensors with an old name from torchvision their current name.
    pub(super) fn with_current_names(mut self) -> Self {
        for dict in &mut self.dicts {
            let renamed = dict.tensors.keys().filter_map(|old| Some((old.clone(), names::current(old)?)));
            for (old, new) in renamed.filter(|(_, new)| !dict.tensors.contains_key(new)).collect::<Vec<_>>() {
                dict.tensors.remove(&old).into_iter().for_each(|entry| drop(dict.tensors.insert(new.clone(), entry)));
            }
        }
        self
    }

    /// The state dict that most likely holds the network's weights.
    fn main(&self) -> Option<&StateDict> {
        self.dicts.iter().min_by_key(|dict| (names::secondary(&dict.key), names::rank(&dict.key)))
    }

    /// Describes the network in the state dict with this key, for the Python code that exports it. If there is no such state dict,
    /// describes the network in the main one.
    pub fn without_graph(&self, key: Option<&str>) -> WithoutGraph {
        let named = key.and_then(|key| self.dicts.iter().find(|dict| dict.key == key));
        let Some(dict) = named.or_else(|| self.main()) else { return WithoutGraph::default() };
        let is =
            |channels| dict.tensors.values().any(|tensor| matches!(tensor.shape[..], [_, c, _, _] if c == channels));
        WithoutGraph {
            saved: dict.saved.clone(),
            key: dict.key.clone(),
            prefix: names::wrapped_by(dict.tensors.keys().map(String::as_str)),
            channels: [3, 1].into_iter().find(|channels| is(*channels)),
        }
    }

    /// Reads all tensors of the main state dict. Wrapper segments are removed from their names.
    ///
    /// Errors under the same conditions as [`read`](Self::read).
    pub fn all(&self) -> Result<Weights> {
        let dict = self.main().context("the file contains no tensors")?;
        let plain = names::all_unwrapped(dict.tensors.keys().map(String::as_str));
        let own = || dict.tensors.keys().map(|name| (name.clone(), name.as_str())).collect();
        let entries = plain.unwrap_or_else(own).into_iter().map(|(name, old)| (name, &dict.tensors[old]));
        self.read(entries.collect())
    }

    /// Reads the values of `entries` on all cores; one core computes the hash of the files.
    ///
    /// Errors if the data is damaged, a dtype is not supported, the tensors have more values than the files have bytes, memory is
    /// too low, or the thread's [probe](crate::interrupt) stops the work.
    pub fn read(&self, entries: Vec<(String, &TensorEntry)>) -> Result<Weights> {
        let (probe, loading) = (&InterruptProbe::here(), &Loading::here());
        let records = || self.files.par_iter().flat_map_iter(|file| file.records.iter().map(move |r| (file, r)));
        let check = || records().try_for_each(|(file, record)| record.check(&file.source));
        let (hash, (whole, tensors)) =
            rayon::join(|| self.hash(probe), || rayon::join(check, || probe.within(|| self.tensors(entries, loading))));
        whole?;
        Ok(Weights { tensors: tensors?, hash: hash? })
    }

    /// Reads tensors. Tensors shared by several names are read once, so that memory is bounded by the size of the files.
    fn tensors(&self, entries: Vec<(String, &TensorEntry)>, loading: &Loading) -> Result<Tensors> {
        let mut made: HashMap<&TensorEntry, Tensor> = HashMap::new();
        let bytes = |(_, entry): &(String, &TensorEntry)| Ok(count(&entry.shape)?.saturating_mul(entry.number.size()));
        let all = entries
            .iter()
            .map(bytes)
            .try_fold(0usize, |all, one: Result<usize>| Ok::<_, anyhow::Error>(all.saturating_add(one?)))?;
        let mut left: u64 = self.files.iter().map(|file| file.source.length()).sum();
        // Entries that share a tensor need no additional memory.
        reserve(all.min(left as usize), || "the weights".into())?;
        // Storages that are read in full, for tensors that are not contiguous.
        let mut whole = HashMap::new();
        let (mut tensors, mut done) = (Tensors::new(), 0);
        for (name, entry) in entries {
            interrupt::check()?;
            let tensor = match made.entry(entry) {
                Slot::Occupied(tensor) => tensor.get().clone(),
                Slot::Vacant(slot) => {
                    let size = count(&entry.shape)? * entry.number.size();
                    left = left.checked_sub(size as u64).context("the tensors are larger in total than the file")?;
                    let tensor = entry.read(&self.files[entry.file].source, &mut whole);
                    done += size;
                    loading.tell(done as u64, all as u64);
                    slot.insert(tensor.with_context(|| format!("tensor \"{}\"", pickle::shown(&name)))?).clone()
                }
            };
            tensors.insert(name, tensor);
        }
        Ok(tensors)
    }

    /// SHA-256 of all bytes of all files, in hexadecimal.
    fn hash(&self, probe: &InterruptProbe) -> Result<String> {
        let (mut sum, mut part) = (Sha256::new(), vec![0; 1 << 18]);
        for file in &self.files {
            let mut bytes = file.source.beginning(0);
            loop {
                probe.check()?;
                match bytes.read(&mut part)? {
                    0 => break,
                    count => sum.update(&part[..count]),
                }
            }
        }
        Ok(format!("{:x}", sum.finalize()))
    }
}

impl TensorEntry {
    /// An entry for a contiguous tensor whose values fill the byte range `storage` of a file.
    pub(super) fn whole(number: Number, shape: Vec<usize>, storage: ByteRange) -> Self {
        let mut stride = vec![1usize; shape.len()];
        for axis in (1..shape.len()).rev() {
            stride[axis - 1] = stride[axis].saturating_mul(shape[axis]);
        }
        Self { shape, number, file: 0, storage, offset: 0, stride }
    }

    /// Whether the tensor has an integer or boolean type.
    pub fn is_whole(&self) -> bool {
        matches!(self.number, Number::I64 | Number::I32 | Number::I16 | Number::I8 | Number::U8 | Number::Bool)
    }

    fn read(&self, file: &ByteSource, whole: &mut HashMap<(usize, u64), Vec<u8>>) -> Result<Tensor> {
        let size = self.number.size();
        if matches!(self.number, Number::Unread(..)) {
            return self.number.tensor(&[], &self.shape);
        }
        if !self.contiguous() {
            let (start, length) = self.storage;
            let numbers = match whole.entry((self.file, start)) {
                Slot::Occupied(numbers) => numbers.into_mut(),
                Slot::Vacant(slot) => slot.insert(file.bytes(start, length).context(CUT)?),
            };
            return self.number.tensor(&self.gather(numbers, size), &self.shape);
        }
        let count = count(&self.shape)?;
        let first = if count == 0 { 0 } else { self.offset * size };
        self.number.read(file, self.storage.0 + first as u64, count * size, &self.shape)
    }

    /// Copies the values from the bytes of the storage in row-major order; `size` is the size of a value in bytes.
    fn gather(&self, storage: &[u8], size: usize) -> Vec<u8> {
        let values: usize = self.shape.iter().product();
        let mut bytes = Vec::with_capacity(values * size);
        let mut index = vec![0; self.shape.len()];
        let mut at = self.offset;
        for _ in 0..values {
            bytes.extend_from_slice(&storage[at * size..(at + 1) * size]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += self.stride[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= self.shape[axis] * self.stride[axis];
                index[axis] = 0;
            }
        }
        bytes
    }

    /// Whether the values are contiguous in row-major order.
    fn contiguous(&self) -> bool {
        let mut expected = 1usize;
        self.shape.iter().zip(&self.stride).rev().all(|(&n, &stride)| {
            let fits = n == 1 || stride == expected;
            expected = expected.saturating_mul(n);
            fits
        })
    }
}

/// Joins the archives of several shards, given with their names, into one archive. Errors if two shards contain tensors with the
/// same name.
pub(super) fn joined(archives: Vec<(String, Archive)>) -> Result<Archive> {
    let dict = StateDict { saved: Saved::Shards, ..StateDict::default() };
    let mut all = Archive { files: Vec::new(), dicts: vec![dict] };
    for (name, archive) in archives {
        let at = all.files.len();
        all.files.extend(archive.files);
        for dict in archive.dicts.into_iter().filter(|dict| dict.key.is_empty()) {
            for (tensor, mut entry) in dict.tensors {
                entry.file += at;
                let twice = all.dicts[0].tensors.insert(tensor.clone(), entry).is_some();
                ensure!(!twice, "tensor \"{}\" of \"{name}\" is also in another shard", pickle::shown(&tensor));
            }
            all.dicts[0].unread.extend(dict.unread);
        }
    }
    Ok(all)
}
