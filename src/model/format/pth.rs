//! PyTorch's files: a zip archive with a pickle and one record a storage, or, before 1.6, pickles and storages in a row.

use super::Tensors;
use super::number::count;
use super::pickle::{self, Pickle, Value, shown};
use super::pieces::Pieces;
use super::state::{Names, named};
use super::torch::{Storage, View};
use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use flate2::CrcReader;
use rayon::prelude::*;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{BufReader, Read, Seek};
use zip::ZipArchive;

/// Where bytes of a file start, and how many they are.
type Stretch = (u64, u64);

/// The bytes of each storage, by its name.
type Storages<'a> = HashMap<&'a str, Stretch>;

/// The number that a file of the format before 1.6 begins with, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

const CUT: &str = "the file is damaged or cut short";

/// The tensors of a zip file that `torch.save` wrote, each read from its place in it.
pub fn read_zip(file: &(impl Pieces + ?Sized)) -> Result<Tensors> {
    let mut archive =
        ZipArchive::new(BufReader::new(file.beginning(0))).with_context(|| format!("the zip archive: {CUT}"))?;
    let root = archive.file_names().filter_map(|n| n.strip_suffix("data.pkl")).min_by_key(|n| n.len());
    let root = root.context("the zip archive has no data.pkl; torch.save writes one")?.to_string();
    let program = archive.index_for_name(&format!("{root}constants.pkl")).is_some();
    ensure!(!program, "it is a TorchScript program, which is not run; save model.state_dict()");
    if archive.index_for_name(&format!("{root}byteorder")).is_some() {
        let order = Record::of(&mut archive, format!("{root}byteorder"))?.read(file)?;
        ensure!(order == b"little", "its numbers are big-endian; save it on a little-endian machine");
    }
    let program = Record::of(&mut archive, format!("{root}data.pkl"))?.read(file)?;
    let pickle = pickle::load(&program)?;
    let names = named(&pickle)?;
    let mut records = HashMap::new();
    let mut left = file.length();
    for storage in &pickle.heap.storages {
        if records.contains_key(storage.key) {
            continue;
        }
        let record = Record::of(&mut archive, format!("{root}data/{}", storage.key))?;
        left = left.checked_sub(record.place.1).with_context(|| format!("its records overlap; {CUT}"))?;
        records.insert(storage.key, record);
    }
    let storages = records.iter().map(|(key, record)| (*key, record.place)).collect();
    let (whole, tensors) = rayon::join(
        || records.par_iter().try_for_each(|(_, record)| record.check(file)),
        || tensors(names, &pickle, &storages, file),
    );
    whole.and(tensors)
}

/// The tensors of a file of the format before PyTorch 1.6, which is read whole: where its pickles end only they tell.
pub fn read_legacy(file: &(impl Pieces + ?Sized)) -> Result<Tensors> {
    let bytes = &file.bytes(0, file.length())?[..];
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
    let storages = storages(&pickle, &keys, bytes, rest)?;
    tensors(names, &pickle, &storages, bytes)
}

/// The pickle at the beginning of `rest`, which then begins after it.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Pickle<'a>> {
    let pickle = pickle::load(rest)?;
    *rest = &rest[pickle.length..];
    Ok(pickle)
}

/// The places in `bytes` of the storages that follow the pickles, in the order of `keys`: how many numbers in eight bytes, then the numbers.
fn storages<'a>(pickle: &Pickle<'a>, keys: &Pickle<'a>, bytes: &[u8], mut rest: &[u8]) -> Result<Storages<'a>> {
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
        let start = bytes.len() - after.len() - numbers.len();
        found.insert(*key, (start as u64, numbers.len() as u64));
        rest = after;
    }
    Ok(found)
}

/// A record of the archive, uncompressed.
struct Record {
    name: String,
    place: Stretch,
    sum: u32,
}

impl Record {
    fn of<R: Read + Seek>(archive: &mut ZipArchive<R>, name: String) -> Result<Self> {
        let file = archive.by_name(&name).with_context(|| damaged(&name))?;
        ensure!(
            file.compression() == zip::CompressionMethod::Stored,
            "its records are compressed, which torch.save does not do"
        );
        let place = (file.data_start().with_context(|| damaged(&name))?, file.size());
        let sum = file.crc32();
        drop(file);
        Ok(Self { name, place, sum })
    }

    /// Its bytes, with the right checksum.
    fn read(&self, file: &(impl Pieces + ?Sized)) -> Result<Vec<u8>> {
        self.check(file)?;
        file.bytes(self.place.0, self.place.1).with_context(|| damaged(&self.name))
    }

    /// Compares its checksum with that of its bytes.
    fn check(&self, file: &(impl Pieces + ?Sized)) -> Result<()> {
        let (start, length) = self.place;
        let bytes = BufReader::with_capacity(1 << 18, file.beginning(start).take(length));
        let mut bytes = CrcReader::new(bytes);
        let count = std::io::copy(&mut bytes, &mut std::io::sink()).with_context(|| damaged(&self.name))?;
        ensure!(count == length, damaged(&self.name));
        ensure!(bytes.crc().sum() == self.sum, "{}: its checksum is wrong", damaged(&self.name));
        Ok(())
    }
}

fn damaged(name: &str) -> String {
    format!("the record \"{}\" of the zip archive: {CUT}", shown(name))
}

/// Every named tensor. Memory for them is at most the file's size: a view that two names share is made once.
fn tensors(names: Names, pickle: &Pickle, storages: &Storages, file: &(impl Pieces + ?Sized)) -> Result<Tensors> {
    let mut made: HashMap<_, Tensor> = HashMap::new();
    let mut left = file.length();
    // What a view that skips numbers is a part of.
    let mut whole = HashMap::new();
    let mut tensors = Tensors::new();
    for (name, place) in names {
        let view = &pickle.heap.tensors[place];
        let storage = &pickle.heap.storages[view.storage];
        let same = (storage.key, storage.number, view.offset, &view.shape, &view.stride);
        let tensor = match made.entry(same) {
            Entry::Occupied(tensor) => tensor.get().clone(),
            Entry::Vacant(place) => {
                let size = count(&view.shape)? * storage.number.size();
                left = left.checked_sub(size as u64).context("its tensors are together larger than the file")?;
                let tensor = tensor(view, storage, storages, file, &mut whole);
                place.insert(tensor.with_context(|| format!("tensor \"{}\"", shown(&name)))?).clone()
            }
        };
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

fn tensor<'a>(
    view: &View,
    storage: &Storage<'a>,
    storages: &Storages,
    file: &(impl Pieces + ?Sized),
    whole: &mut HashMap<&'a str, Vec<u8>>,
) -> Result<Tensor> {
    let &(start, length) = storages.get(storage.key).with_context(|| format!("its storage is missing; {CUT}"))?;
    let size = storage.number.size();
    ensure!(
        bytes_of(storage).is_some_and(|bytes| bytes as u64 == length),
        "its storage has {length} bytes for {} numbers; {CUT}",
        storage.count
    );
    if !view.contiguous() {
        let numbers = match whole.entry(storage.key) {
            Entry::Occupied(numbers) => numbers.into_mut(),
            Entry::Vacant(place) => place.insert(file.bytes(start, length).context(CUT)?),
        };
        return storage.number.tensor(&view.gather(numbers, size), &view.shape);
    }
    let count = count(&view.shape)?;
    let first = if count == 0 { 0 } else { view.offset * size };
    storage.number.read(file, start + first as u64, count * size, &view.shape)
}

fn bytes_of(storage: &Storage) -> Option<usize> {
    storage.count.checked_mul(storage.number.size())
}
