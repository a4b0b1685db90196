//! PyTorch's formats: a zip archive with a pickle and one record per storage or, before PyTorch 1.6, a sequence of pickles and
//! storages.

use super::archive::{Archive, StateDict, TensorEntry};
use super::pickle::{self, Pickle, PickleValue, shown};
use super::random_access::{ByteSource, RandomAccess};
use super::record::{ByteRange, Record};
use super::state::{Names, module, state_dicts};
use super::tensors::CUT;
use super::torch::{Storage, StridedView};
use crate::model::python::{NoTensors, Saved};
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use std::io::BufReader;
use zip::ZipArchive;

/// Byte range of each storage in the file, by its key.
type Storages<'a> = HashMap<&'a str, ByteRange>;

/// The magic number at the beginning of a file in the format before PyTorch 1.6.
const MAGIC: PickleValue = PickleValue::Big(0x1950_a86a_20f9_469c_fc6c);

/// The magic number as encoded in pickle protocols 0 and 1, at the beginning of a file in the format before PyTorch 1.6.
pub const TEXT_MAGIC: &[u8] = b"L119547037146038801333356L\n.";

/// Opens a zip file written by `torch.save`.
///
/// Errors if the file is damaged, is a TorchScript program, has big-endian values or contains no tensors.
pub fn open_zip(file: ByteSource) -> Result<Archive> {
    let mut archive =
        ZipArchive::new(BufReader::new(file.beginning(0))).with_context(|| format!("the zip archive: {CUT}"))?;
    let root = archive.file_names().filter_map(|n| n.strip_suffix("data.pkl")).min_by_key(|n| n.len());
    let root = root.context("the zip archive has no data.pkl; create the file with torch.save")?.to_string();
    let program = archive.index_for_name(&format!("{root}constants.pkl")).is_some();
    if program {
        let what = "the file is a TorchScript program, which is not supported; save model.state_dict()".into();
        bail!(NoTensors { what, saved: Saved::TorchScript });
    }
    if archive.index_for_name(&format!("{root}byteorder")).is_some() {
        let order = Record::of(&mut archive, format!("{root}byteorder"))?.read(&file)?;
        ensure!(order == b"little", "the values are big-endian; save the file on a little-endian machine");
    }
    let program = Record::of(&mut archive, format!("{root}data.pkl"))?.read(&file)?;
    let pickle = pickle::load(&program)?;
    let found = state_dicts(&pickle)?;
    let mut records = HashMap::new();
    let mut left = file.length();
    for storage in &pickle.heap.storages {
        if records.contains_key(storage.key) {
            continue;
        }
        let record = Record::of(&mut archive, format!("{root}data/{}", storage.key))?;
        left = left
            .checked_sub(record.range.1)
            .with_context(|| format!("the records of the zip archive overlap; {CUT}"))?;
        records.insert(storage.key, record);
    }
    drop(archive);
    let storages = records.iter().map(|(key, record)| (*key, record.range)).collect();
    let dicts = located(found, &pickle, &storages)?;
    Ok(Archive::of(file, dicts, records.into_values().collect()))
}

/// Opens a file in the format before PyTorch 1.6. The entire file is read, because the end of each pickle is known only after
/// parsing it.
///
/// Errors if the file is damaged, was not written by `torch.save`, has big-endian values or contains no tensors.
pub fn open_legacy(file: ByteSource) -> Result<Archive> {
    let whole = file.bytes(0, file.length())?;
    let bytes = &whole[..];
    let mut rest = bytes;
    let magic = next(&mut rest)?;
    if magic.root != MAGIC {
        let what = format!("the file is a pickle that was not written by torch.save{}", of_class(&magic));
        bail!(NoTensors { what, saved: module(&magic).map_or(Saved::Other, Saved::Pickle) });
    }
    let version = next(&mut rest)?;
    ensure!(version.root == PickleValue::Int(1001), "the file is not in version 1001 of PyTorch's format");
    let system = next(&mut rest)?;
    let little = (PickleValue::Text("little_endian"), PickleValue::Bool(true));
    ensure!(
        system.heap.dicts.iter().flatten().any(|item| *item == little),
        "the values are big-endian; save the file on a little-endian machine"
    );
    let pickle = next(&mut rest)?;
    let found = state_dicts(&pickle)?;
    let keys = next(&mut rest)?;
    let dicts = located(found, &pickle, &storages(&pickle, &keys, bytes, rest)?)?;
    Ok(Archive::of(ByteSource::Memory(whole), dicts, Vec::new()))
}

/// The end of an error message: `, of class posix.system, whose code is not run; save …` if the pickle contains an object, otherwise
/// only the suggestion.
fn of_class(pickle: &Pickle) -> String {
    let object =
        if let PickleValue::Object(object) = pickle.root { &pickle.heap.objects[object] } else { return SAVE.into() };
    let (module, name) = object.class;
    format!(", of class {}.{}, whose code is not run{SAVE}", shown(module), shown(name))
}

const SAVE: &str = "; save model.state_dict() with torch.save";

/// Parses the pickle at the beginning of `rest` and advances `rest` to the byte after it.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Pickle<'a>> {
    let pickle = pickle::load(rest)?;
    *rest = &rest[pickle.length..];
    Ok(pickle)
}

/// The byte ranges within `bytes` of the storages in `rest`, which follow the pickles in the order of `keys`. Each storage
/// consists of its number of values in eight bytes, followed by the values.
fn storages<'a>(pickle: &Pickle<'a>, keys: &Pickle<'a>, bytes: &[u8], mut rest: &[u8]) -> Result<Storages<'a>> {
    let PickleValue::List(list) = keys.root else { bail!("the file has no list of storages; {CUT}") };
    let known: HashMap<_, _> = pickle.heap.storages.iter().map(|s| (s.key, s)).collect();
    let mut found = HashMap::new();
    for key in &keys.heap.lists[list] {
        let PickleValue::Text(key) = key else { bail!("a storage has no name; {CUT}") };
        let storage = known.get(key).with_context(|| format!("no tensor has the storage \"{}\"; {CUT}", shown(key)))?;
        let (count, numbers) = rest.split_first_chunk::<8>().context(CUT)?;
        ensure!(
            i64::from_le_bytes(*count) == storage.count as i64,
            "the size of a storage does not match that of its tensors; {CUT}"
        );
        let (numbers, after) = bytes_of(storage).and_then(|size| numbers.split_at_checked(size)).context(CUT)?;
        let start = bytes.len() - after.len() - numbers.len();
        found.insert(*key, (start as u64, numbers.len() as u64));
        rest = after;
    }
    Ok(found)
}

/// Converts state dicts of heap indices to state dicts of tensor entries with byte ranges in the file.
fn located(found: Vec<Names>, pickle: &Pickle, storages: &Storages) -> Result<Vec<StateDict>> {
    let entry = |(name, index): (String, usize)| {
        let view = &pickle.heap.tensors[index];
        let storage = &pickle.heap.storages[view.storage];
        let entry = located_view(view, storage, storages).with_context(|| format!("tensor \"{}\"", shown(&name)))?;
        Ok((name, entry))
    };
    let dict = |names: Names| {
        let tensors = names.tensors.into_iter().map(entry).collect::<Result<_>>()?;
        Ok(StateDict { key: names.key, tensors, unread: names.unread, saved: names.saved })
    };
    found.into_iter().map(dict).collect()
}

fn located_view(view: &StridedView, storage: &Storage, storages: &Storages) -> Result<TensorEntry> {
    let &(start, length) =
        storages.get(storage.key).with_context(|| format!("the storage of a tensor is missing; {CUT}"))?;
    ensure!(
        bytes_of(storage).is_some_and(|bytes| bytes as u64 == length),
        "the storage of a tensor has {length} bytes for {} values; {CUT}",
        storage.count
    );
    let StridedView { offset, shape, stride, .. } = view.clone();
    Ok(TensorEntry { shape, number: storage.number, file: 0, storage: (start, length), offset, stride })
}

fn bytes_of(storage: &Storage) -> Option<usize> {
    storage.count.checked_mul(storage.number.size())
}
