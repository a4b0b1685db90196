//! PyTorch's files: a zip archive with a pickle and one record a storage, or, before 1.6, pickles and storages in a row.

use super::Tensors;
use super::number::count;
use super::pickle::{self, Pickle, Value, shown};
use super::state::{Names, named};
use super::torch::{Storage, View};
use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use flate2::Crc;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Cursor;
use zip::ZipArchive;

/// The number that a file of the format before 1.6 begins with, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

const CUT: &str = "the file is damaged or cut short";

/// The tensors of a zip file that `torch.save` wrote.
pub fn read_zip(bytes: &[u8]) -> Result<Tensors> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).with_context(|| format!("the zip archive: {CUT}"))?;
    let root = archive.file_names().filter_map(|n| n.strip_suffix("data.pkl")).min_by_key(|n| n.len());
    let root = root.context("the zip archive has no data.pkl; torch.save writes one")?.to_string();
    let program = archive.index_for_name(&format!("{root}constants.pkl")).is_some();
    ensure!(!program, "it is a TorchScript program, which is not run; save model.state_dict()");
    if archive.index_for_name(&format!("{root}byteorder")).is_some() {
        let order = record(bytes, &mut archive, &format!("{root}byteorder"))?;
        ensure!(order == b"little", "its numbers are big-endian; save it on a little-endian machine");
    }
    let pickle = pickle::load(record(bytes, &mut archive, &format!("{root}data.pkl"))?)?;
    let names = named(&pickle)?;
    let mut storages = HashMap::new();
    let mut left = bytes.len();
    for storage in &pickle.heap.storages {
        if storages.contains_key(storage.key) {
            continue;
        }
        let numbers = record(bytes, &mut archive, &format!("{root}data/{}", storage.key))?;
        left = left.checked_sub(numbers.len()).with_context(|| format!("its records overlap; {CUT}"))?;
        storages.insert(storage.key, numbers);
    }
    tensors(names, &pickle, &storages, bytes.len())
}

/// The tensors of a file of the format before PyTorch 1.6.
pub fn read_legacy(bytes: &[u8]) -> Result<Tensors> {
    let mut rest = bytes;
    let magic = next(&mut rest)?;
    ensure!(
        magic.root == Value::Big(&MAGIC),
        "it is a pickle that torch.save did not write; save model.state_dict() with it"
    );
    let version = next(&mut rest)?;
    ensure!(version.root == Value::Int(1001), "its format is not version 1001 of PyTorch's");
    let system = next(&mut rest)?;
    let little = (Value::Text("little_endian"), Value::Bool(true));
    ensure!(
        system.heap.dicts.iter().flatten().any(|item| *item == little),
        "its numbers are big-endian; save it on a little-endian machine"
    );
    let pickle = next(&mut rest)?;
    let names = named(&pickle)?;
    let keys = next(&mut rest)?;
    let storages = storages(&pickle, &keys, rest)?;
    tensors(names, &pickle, &storages, bytes.len())
}

/// The pickle at the beginning of `rest`, which then begins after it.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Pickle<'a>> {
    let pickle = pickle::load(rest)?;
    *rest = &rest[pickle.length..];
    Ok(pickle)
}

/// The storages that follow the pickles, in the order of `keys`: how many numbers in eight bytes, then the numbers.
fn storages<'a>(pickle: &Pickle<'a>, keys: &Pickle<'a>, mut rest: &'a [u8]) -> Result<HashMap<&'a str, &'a [u8]>> {
    let Value::List(list) = keys.root else { bail!("the file has no list of its storages; {CUT}") };
    let known: HashMap<_, _> = pickle.heap.storages.iter().map(|s| (s.key, s)).collect();
    let mut found = HashMap::new();
    for key in &keys.heap.lists[list] {
        let Value::Text(key) = key else { bail!("a storage has no name; {CUT}") };
        let storage = known.get(key).with_context(|| format!("no tensor has the storage \"{}\"; {CUT}", shown(key)))?;
        let (count, numbers) = rest.split_first_chunk::<8>().context(CUT)?;
        ensure!(
            i64::from_le_bytes(*count) == storage.count as i64,
            "a storage's size is not the one that its tensors tell; {CUT}"
        );
        let (numbers, after) = bytes_of(storage).and_then(|size| numbers.split_at_checked(size)).context(CUT)?;
        found.insert(*key, numbers);
        rest = after;
    }
    Ok(found)
}

/// The bytes of a record of the archive, uncompressed and with the right checksum.
fn record<'a>(bytes: &'a [u8], archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<&'a [u8]> {
    let damaged = || format!("the record \"{}\" of the zip archive: {CUT}", shown(name));
    let file = archive.by_name(name).with_context(damaged)?;
    let start = file.data_start().and_then(|start| usize::try_from(start).ok()).with_context(damaged)?;
    let record =
        bytes.get(start..).and_then(|rest| rest.get(..usize::try_from(file.size()).ok()?)).with_context(damaged)?;
    ensure!(
        file.compression() == zip::CompressionMethod::Stored,
        "its records are compressed, which torch.save does not do"
    );
    let mut crc = Crc::new();
    crc.update(record);
    ensure!(crc.sum() == file.crc32(), "{}: its checksum is wrong", damaged());
    Ok(record)
}

/// Every named tensor. Memory for them is at most the file's size, `limit`: a view that two names share is made once.
fn tensors(names: Names, pickle: &Pickle, storages: &HashMap<&str, &[u8]>, limit: usize) -> Result<Tensors> {
    let mut made: HashMap<_, Tensor> = HashMap::new();
    let mut left = limit;
    let mut tensors = Tensors::new();
    for (name, place) in names {
        let view = &pickle.heap.tensors[place];
        let storage = &pickle.heap.storages[view.storage];
        let same = (storage.key, storage.number, view.offset, &view.shape, &view.stride);
        let tensor = match made.entry(same) {
            Entry::Occupied(tensor) => tensor.get().clone(),
            Entry::Vacant(place) => {
                let size = count(&view.shape)? * storage.number.size();
                left = left.checked_sub(size).context("its tensors are together larger than the file")?;
                let tensor = tensor(view, storage, storages).with_context(|| format!("tensor \"{}\"", shown(&name)))?;
                place.insert(tensor).clone()
            }
        };
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

fn tensor(view: &View, storage: &Storage, storages: &HashMap<&str, &[u8]>) -> Result<Tensor> {
    let numbers = storages.get(storage.key).with_context(|| format!("its storage is missing; {CUT}"))?;
    let size = storage.number.size();
    ensure!(
        bytes_of(storage) == Some(numbers.len()),
        "its storage has {} bytes for {} numbers; {CUT}",
        numbers.len(),
        storage.count
    );
    if !view.contiguous() {
        return storage.number.tensor(&view.gather(numbers, size), &view.shape);
    }
    let count = count(&view.shape)?;
    let start = if count == 0 { 0 } else { view.offset * size };
    storage.number.tensor(&numbers[start..start + count * size], &view.shape)
}

fn bytes_of(storage: &Storage) -> Option<usize> {
    storage.count.checked_mul(storage.number.size())
}
