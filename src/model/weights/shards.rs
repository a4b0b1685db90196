//! Sharded weights as in Hugging Face repositories: files such as `model-00001-of-00003.safetensors`, with an index.

use super::archive::{Archive, joined};
use super::pickle::shown;
use crate::data::open;
use crate::panics::decoding;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Suffix of the names of index files.
pub const INDEX: &str = ".index.json";

/// Maximum size of an index file in bytes.
const LIMIT: u64 = 64 << 20;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Finds the shards that a path refers to. The path may be the folder of an index, the index itself, or one of several shards.
/// Returns `None` for a file that is not sharded.
///
/// Errors if the folder has no index, or if the index is damaged or lists no tensors.
pub fn shards(path: &Path) -> Result<Option<Shards>> {
    if path.is_dir() {
        return in_folder(path).and_then(|index| Shards::of_index(&index)).map(Some);
    }
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    if name.ends_with(INDEX) {
        return Shards::of_index(path).map(Some);
    }
    let Some(part) = Part::of(name).filter(|part| part.count > 1) else { return Ok(None) };
    let index = path.with_file_name(format!("{}{}{INDEX}", part.stem, part.ending));
    if index.exists() {
        return Shards::of_index(&index).map(Some);
    }
    let files = (1..=part.count).map(|i| part.name(i)).collect();
    Ok(Some(Shards { folder: folder(path), files, tensors: BTreeMap::new() }))
}

/// The shards of one set of weights, all in one folder.
pub struct Shards {
    folder: PathBuf,
    files: BTreeSet<String>,
    /// The file that contains each tensor, according to the index; empty without an index.
    tensors: BTreeMap<String, String>,
}

impl Shards {
    fn of_index(path: &Path) -> Result<Self> {
        let mut text = String::new();
        let reading = || format!("reading the index \"{}\"", words::path(&path));
        open(path, LIMIT)?.read_to_string(&mut text).with_context(reading)?;
        let index: Index = decoding("JSON", || serde_json::from_str(&text)).with_context(reading)?;
        ensure!(!index.weight_map.is_empty(), "the index \"{}\" lists no tensors", words::path(&path));
        for file in index.weight_map.values() {
            let plain = !file.is_empty() && !file.contains(['/', '\\', ':', '\0']) && file != "." && file != "..";
            ensure!(
                plain,
                "the index \"{}\" refers to \"{}\"; shards must be in the same folder",
                words::path(&path),
                shown(file)
            );
        }
        let files = index.weight_map.values().cloned().collect();
        Ok(Self { folder: folder(path), files, tensors: index.weight_map })
    }

    /// Opens all shards with `open` and joins them into one archive.
    ///
    /// Errors if a shard is missing or lacks a tensor that the index assigns to it.
    pub fn open(&self, open: impl Fn(&Path) -> Result<Archive>) -> Result<Archive> {
        let one = |name: &String| {
            let path = self.folder.join(name);
            let all = self.files.len();
            ensure!(path.exists(), "the shard \"{}\", one of {all}, is missing", shown(&path.to_string_lossy()));
            open(&path).map(|archive| (name.clone(), archive))
        };
        let archives: Vec<_> = self.files.iter().map(one).collect::<Result<_>>()?;
        for (tensor, file) in &self.tensors {
            let shard = archives.iter().find(|(name, _)| name == file);
            let there = shard.is_some_and(|(_, a)| {
                a.dicts.iter().any(|d| d.tensors.contains_key(tensor) || d.unread.contains_key(tensor))
            });
            ensure!(there, "the shard \"{}\" has no tensor \"{}\", which the index lists", shown(file), shown(tensor));
        }
        joined(archives)
    }
}

/// Finds the index file in a folder. Errors if there is none.
fn in_folder(folder: &Path) -> Result<PathBuf> {
    let reading = || format!("reading the folder \"{}\"", words::path(&folder));
    let files = std::fs::read_dir(folder).with_context(reading)?.flatten().map(|file| file.path());
    let is_index = |path: &PathBuf| path.to_string_lossy().ends_with(INDEX);
    let mut found: Vec<_> = files.filter(is_index).collect();
    // If a folder has the same weights in two formats, safetensors is preferred.
    found.sort_by_key(|path| (!path.to_string_lossy().ends_with(".safetensors.index.json"), path.clone()));
    match found.into_iter().next() {
        Some(index) => Ok(index),
        None => bail!("{}: the folder has no index (*{INDEX}); give a weight file", reading()),
    }
}

/// A parsed shard file name, `stem-00001-of-00003.ending`.
struct Part<'a> {
    stem: &'a str,
    ending: &'a str,
    digits: usize,
    count: usize,
}

impl<'a> Part<'a> {
    fn of(name: &'a str) -> Option<Self> {
        let dot = name.rfind('.')?;
        let (rest, ending) = name.split_at(dot);
        let (rest, count) = rest.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let digits = |text: &str| (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(number) || !digits(count) {
            return None;
        }
        let (number, count, digits) = (number.parse().ok()?, count.parse().ok()?, number.len());
        (1..=count).contains(&number).then_some(Self { stem, ending, digits, count })
    }

    fn name(&self, i: usize) -> String {
        let Self { stem, ending, digits, count } = self;
        format!("{stem}-{i:0digits$}-of-{count:0digits$}{ending}")
    }
}

fn folder(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_recognized_by_their_names() {
        let part = Part::of("model-00002-of-00012.safetensors").unwrap();
        assert_eq!((part.count, part.name(7)), (12, "model-00007-of-00012.safetensors".into()));
        assert_eq!(Part::of("pytorch_model-1-of-2.bin").unwrap().name(2), "pytorch_model-2-of-2.bin");
        let others =
            ["model.safetensors", "a-of-b.pt", "x-00003-of-00002.pt", "x-00000-of-00002.pt", "x-1-of-99999999.pt"];
        assert!(others.iter().all(|name| Part::of(name).is_none()));
    }
}
