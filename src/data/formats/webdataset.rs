//! WebDataset: tar archives in which a picture and its label have the same base name.

use super::folder::{ENDINGS, entries, is_picture, word};
use crate::data::part::{self, choose, split};
use crate::data::picture::MAX_BYTES;
use crate::data::stored::{StoredPictures, identify_file};
use crate::data::{Dataset, Labels, Picture, Split, open as open_file};
use crate::memory::reserve;
use crate::panics::decoding;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sha2::Sha256;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tar::{Archive, EntryType};

/// Maximum number of shards in a brace pattern.
const SHARDS: u64 = 100_000;

/// Maximum size of a label in bytes.
const LABEL_BYTES: u64 = 1 << 20;

/// Keys of the class in a `.json` file.
const KEYS: [&str; 6] = ["label", "class", "cls", "class_id", "target", "class_name"];

/// A description of the format, for error messages.
const EXAMPLE: &str = "expected pairs such as 000.jpg and 000.cls";

/// Opens the pictures in a tar file, in all tar files of a folder, or in the tar files that match a pattern such as
/// `train-{000000..000146}.tar`. Pictures are read on demand from their offset in the archive.
///
/// The files of a sample share their path up to the first dot of the file name: a picture, and its label as `.cls` (an index or a
/// name), `.json` (`{"label": 3}`) or `.txt`. The names of shards may indicate a split. Errors if an archive is damaged or
/// compressed, if there are no pictures, or if only some pictures have labels.
pub fn open(text: &str) -> Result<Dataset> {
    let (path, wanted) = split(text);
    let shards = match shards(path)? {
        all if path.is_dir() => choose(all, wanted, |shard| Split::of_path(shard))?,
        all => {
            ensure!(wanted.is_none(), "a split suffix such as #train works only with a folder of shards; omit it");
            all
        }
    };
    let mut pictures = Vec::new();
    for (i, shard) in shards.iter().enumerate() {
        let read = decoding("tar", || samples(shard, i, &mut pictures));
        read.with_context(|| format!("reading \"{}\"", words::path(shard)))?;
    }
    ensure!(!pictures.is_empty(), "found no pictures in {} .tar files; {EXAMPLE}", shards.len());
    let labels = labels(&pictures)?;
    Dataset::of_stored(&format!("webdataset:{text}"), Arc::new(Shards { shards, pictures }), labels)
}

/// Whether a path is a tar file, a folder of tar files or a pattern for their names.
pub fn fits(path: &Path) -> bool {
    let tar = |path: &Path| path.extension().is_some_and(|ending| ending == "tar");
    match path.is_dir() {
        true => entries(path).is_ok_and(|all| all.iter().any(|path| tar(path) && path.is_file())),
        false => tar(path) && (path.is_file() || path.to_string_lossy().contains('{')),
    }
}

/// Whether a folder has a training split and at least one other.
pub fn has_training(path: &Path) -> bool {
    path.is_dir() && shards(path).is_ok_and(|shards| part::has_training(&shards, |shard| Split::of_path(shard)))
}

/// The tar files that a path or pattern matches.
fn shards(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_dir() {
        let tar = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "tar") && path.is_file();
        let shards: Vec<_> = entries(path)?.into_iter().filter(tar).collect();
        ensure!(
            !shards.is_empty(),
            "the folder has no .tar files; give a folder of shards, one shard, or shard-{{000..009}}.tar"
        );
        return Ok(shards);
    }
    let all = expanded(&path.to_string_lossy())?;
    let missing = all.iter().find(|shard| !Path::new(shard).is_file());
    match missing {
        Some(missing) => bail!("no file \"{}\"", words::path(missing)),
        None => Ok(all.into_iter().map(PathBuf::from).collect()),
    }
}

/// The names that a pattern such as `a-{00..11}.tar` expands to; numbers are padded to the length of the first number.
fn expanded(pattern: &str) -> Result<Vec<String>> {
    let Some((before, rest)) = pattern.split_once('{') else { return Ok(vec![pattern.into()]) };
    let (range, after) =
        rest.split_once('}').context("a closing brace is missing; write a range such as {000..009}")?;
    let ends = range.split_once("..").and_then(|(from, to)| Some((from, from.parse().ok()?, to.parse().ok()?)));
    let parts: Vec<String> = match ends {
        Some((text, from, to)) => {
            let count = u64::checked_sub(to, from).filter(|count| *count < SHARDS);
            ensure!(
                count.is_some(),
                "the braces {{{}}} are not a range of at most {SHARDS} shards",
                words::name(range)
            );
            (from..=to).map(|n: u64| format!("{n:0width$}", width = text.len())).collect()
        }
        None => range.split(',').map(String::from).collect(),
    };
    ensure!(!after.contains('{'), "only one pair of braces is supported");
    Ok(parts.into_iter().map(|part| format!("{before}{part}{after}")).collect())
}

/// The location and the label of a picture.
#[derive(Debug, Default)]
struct Sample {
    shard: usize,
    /// Path in the archive up to the first dot of the name.
    key: String,
    /// The rest of the picture's name, and the offset and size of the picture.
    picture: Option<(String, u64, u64)>,
    /// The class, and the precedence of the file that it comes from, since a sample may have several label files.
    label: Option<(String, usize)>,
}

/// Adds the samples of one shard that have a picture to `all`.
fn samples(path: &Path, shard: usize, all: &mut Vec<Sample>) -> Result<()> {
    let mut file = open_file(path, u64::MAX)?;
    let length = file.metadata()?.len();
    let mut magic = [0; 2];
    let packed = file.read_exact(&mut magic).is_ok() && [[0x1f, 0x8b], [0x28, 0xb5], [b'B', b'Z']].contains(&magic);
    ensure!(!packed, "the file is compressed; decompress it first, for example with gunzip");
    file.seek(SeekFrom::Start(0))?;
    let mut archive = Archive::new(file);
    let mut sample = Sample::default();
    for entry in archive.entries_with_seek().context("the file is not a tar archive")? {
        let mut entry = entry.context("the file is not a tar archive, or it is damaged or truncated")?;
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let (start, size) = (entry.raw_file_position(), entry.size());
        let end = start.checked_add(size).filter(|end| *end <= length);
        ensure!(end.is_some(), "the archive is truncated within \"{}\"", words::name(&name));
        let folder = name.rfind('/').map_or(0, |at| at + 1);
        let dot = name[folder..].find('.').map_or(name.len(), |at| folder + at);
        let (key, ending) = (&name[..dot], name[dot..].trim_start_matches('.').to_lowercase());
        if key != sample.key {
            let done = std::mem::replace(&mut sample, Sample { shard, key: key.into(), ..Sample::default() });
            all.extend(Some(done).filter(|sample| sample.picture.is_some()));
        }
        let rank = |sample: &Sample| sample.picture.as_ref().map_or(usize::MAX, |(ending, ..)| order(ending));
        if is_picture(Path::new(&format!("a.{ending}"))) && ending != "npy" && order(&ending) < rank(&sample) {
            sample.picture = Some((name[dot..].into(), start, size));
        } else if let Some(kind) = ["cls", "json", "txt"].iter().position(|kind| *kind == ending) {
            let better = sample.label.as_ref().is_none_or(|(_, known)| kind < *known);
            if better && size <= LABEL_BYTES {
                let mut text = String::new();
                entry.read_to_string(&mut text).with_context(|| format!("reading \"{}\"", words::name(&name)))?;
                let label = if ending == "json" { in_json(&text) } else { Some(text.trim().to_string()) };
                sample.label = label.filter(|label| !label.is_empty()).map(|label| (label, kind)).or(sample.label);
            }
        }
    }
    all.extend(Some(sample).filter(|sample| sample.picture.is_some()));
    Ok(())
}

/// The index of a file name extension in the list of picture extensions.
fn order(ending: &str) -> usize {
    let ending = ending.trim_start_matches('.').to_lowercase();
    ENDINGS.iter().position(|known| *known == ending).unwrap_or(ENDINGS.len())
}

/// The class in a JSON object.
fn in_json(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    KEYS.iter().find_map(|key| match value.get(key)? {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.trim().to_string()),
        _ => None,
    })
}

fn labels(pictures: &[Sample]) -> Result<Labels> {
    let words: Vec<&str> = pictures.iter().filter_map(|sample| Some(&sample.label.as_ref()?.0[..])).collect();
    let without = pictures.iter().find(|sample| sample.label.is_none());
    match without {
        None => Labels::of_words(&words),
        Some(_) if words.is_empty() => Ok(Labels::default()),
        Some(sample) => {
            bail!("\"{}\" has no label, but {} other pictures do; {EXAMPLE}", words::name(&sample.key), words.len())
        }
    }
}

/// The pictures of several tar files.
#[derive(Debug)]
struct Shards {
    shards: Vec<PathBuf>,
    pictures: Vec<Sample>,
}

impl StoredPictures for Shards {
    fn count(&self) -> usize {
        self.pictures.len()
    }

    fn picture(&self, i: usize) -> Result<Picture> {
        let sample = &self.pictures[i];
        let name = self.name(i).unwrap_or_default();
        let (_, start, size) = sample.picture.as_ref().context("the sample has no picture")?;
        ensure!(*size <= MAX_BYTES, "\"{}\" has {size} bytes, more than the limit of {MAX_BYTES}", words::path(&name));
        reserve(*size as usize, || format!("the picture \"{}\"", words::path(&name)))?;
        let mut file = open_file(&self.shards[sample.shard], u64::MAX)?;
        let mut bytes = vec![0; *size as usize];
        let read = file.seek(SeekFrom::Start(*start)).and_then(|_| file.read_exact(&mut bytes));
        read.with_context(|| format!("reading \"{}\"; the shard may have changed", words::path(&name)))?;
        Picture::named(&words::path(&name), &bytes)
    }

    fn name(&self, i: usize) -> Option<String> {
        let sample = &self.pictures[i];
        let (ending, ..) = sample.picture.as_ref()?;
        Some(format!("{}/{}{ending}", word(&self.shards[sample.shard]), sample.key))
    }

    fn identify(&self, hash: &mut Sha256) -> Result<()> {
        self.shards.iter().try_for_each(|shard| identify_file(shard, hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_stand_for_a_range_or_a_list() {
        let names = |pattern: &str| expanded(pattern).unwrap();
        assert_eq!(names("a-{08..11}.tar"), ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]);
        assert_eq!(names("{a,b}/c.tar"), ["a/c.tar", "b/c.tar"]);
        assert_eq!(names("c.tar"), ["c.tar"]);
        for wrong in ["a-{0..99999999}.tar", "a-{2..1}.tar", "a-{0..1", "{0..1}{0..1}.tar"] {
            assert!(expanded(wrong).is_err(), "{wrong}");
        }
    }
}
