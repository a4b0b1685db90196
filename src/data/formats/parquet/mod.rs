//! Data sets as Parquet files, the format used on the Hugging Face hub.

mod pages;
mod table;
mod thrift;

use super::folder::{entries, word};
use crate::data::part::{self, choose, split};
use crate::data::stored::{StoredPictures, identify_file};
use crate::data::{Dataset, Labels, Picture, Split};
use crate::panics::decoding;
use crate::sync::LockUnpoisoned;
use crate::words;
use ::parquet::data_type::ByteArray;
use anyhow::{Context, Result, bail, ensure};
use sha2::Sha256;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use table::{Classes, Table};

/// Maximum depth of the search for files in a folder, such as `default/train/0000.parquet`.
const DEPTH: usize = 3;

/// When the format of a data set is detected, the subfolders of a folder with more entries than this are not searched.
const FEW: usize = 16;

/// Number of row groups to keep in memory, so that reading neighboring pictures decodes their group only once.
const KEPT: usize = 2;

/// Opens the pictures and labels in a Parquet file, or in all Parquet files of a folder whose names indicate the split.
///
/// Pictures are in a column `image` or `img`: encoded files, or structs whose field `bytes` holds an encoded file, as written
/// by the `datasets` library. Labels are in a column `label`, `labels` or `fine_label`: class indices, whose names are read
/// from the metadata, or class names. Pictures are read on demand, one row group at a time. Errors if a file is damaged, has no
/// picture column, or uses a compression other than Snappy.
pub fn open(text: &str) -> Result<Dataset> {
    let (path, wanted) = split(text);
    let files = match path.is_dir() {
        true => choose(files(path, DEPTH)?, wanted, |file| Split::of_path(file))?,
        false => {
            ensure!(
                wanted.is_none(),
                "a split suffix such as #train works only with a folder; omit it for a single file"
            );
            vec![path.into()]
        }
    };
    ensure!(
        !files.is_empty(),
        "the folder has no .parquet files; give a folder with files such as data/train-00000-of-00001.parquet"
    );
    let opened = |file: PathBuf| {
        let what = format!("reading \"{}\"", words::path(&file));
        decoding("Parquet", || Table::open(file)).with_context(|| what)
    };
    let tables = files.into_iter().map(opened).collect::<Result<Vec<_>>>()?;
    let labels = labels(&tables)?;
    Dataset::of_stored(&format!("parquet:{text}"), Arc::new(Tables::new(tables)), labels)
}

/// Whether a path is a Parquet file or a folder of Parquet files.
pub fn fits(path: &Path) -> bool {
    match path.is_dir() {
        true => holds_files(path, DEPTH),
        false => is_parquet(path) && path.is_file(),
    }
}

/// Whether a folder has a training split and at least one other.
pub fn has_training(path: &Path) -> bool {
    path.is_dir() && files(path, DEPTH).is_ok_and(|files| part::has_training(&files, |file| Split::of_path(file)))
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "parquet")
}

/// Whether there are Parquet files in a folder or its subfolders. Folders with many entries, as in data sets of other formats, are
/// not searched further.
fn holds_files(folder: &Path, depth: usize) -> bool {
    let Ok(entries) = entries(folder) else { return false };
    let nested = depth > 0 && entries.len() <= FEW;
    entries.iter().any(|path| is_parquet(path) && path.is_file())
        || nested && entries.iter().any(|path| path.is_dir() && !path.is_symlink() && holds_files(path, depth - 1))
}

/// The Parquet files in a folder, ordered by path.
fn files(folder: &Path, depth: usize) -> Result<Vec<PathBuf>> {
    let (folders, files): (Vec<_>, Vec<_>) = entries(folder)?.into_iter().partition(|path| path.is_dir());
    let mut found: Vec<_> = files.into_iter().filter(|file| is_parquet(file) && file.is_file()).collect();
    for inner in folders.iter().filter(|inner| depth > 0 && !inner.is_symlink()) {
        found.extend(self::files(inner, depth - 1)?);
    }
    Ok(found)
}

/// The labels of all tables, concatenated.
fn labels(tables: &[Table]) -> Result<Labels> {
    let names = tables[0].names.clone();
    let different = tables.iter().find(|table| table.names != names);
    if let Some(table) = different {
        bail!("\"{}\" and \"{}\" have different class names", words::path(&table.path), words::path(&tables[0].path));
    }
    let (mut numbers, mut words, mut none) = (Vec::new(), Vec::new(), 0);
    for table in tables {
        match &table.classes {
            Classes::Numbers(all) => numbers.extend(all),
            Classes::Words(all) => words.extend(all.iter().map(String::as_str)),
            Classes::None => none += 1,
        }
    }
    match (numbers.is_empty(), words.is_empty(), none) {
        (false, true, 0) => Labels::of_signed(numbers, names),
        (true, false, 0) => Labels::of_words(&words),
        (true, true, _) => Ok(Labels::default()),
        _ => bail!("the files have different kinds of labels; open one of the files by name"),
    }
}

/// The pictures of a row group; `None` for rows without a picture.
type Rows = Arc<Vec<Option<ByteArray>>>;

/// The pictures of several tables.
#[derive(Debug)]
struct Tables {
    tables: Vec<Table>,
    /// For each row group: its table, its index in the table, and the index of its first picture.
    groups: Vec<(usize, usize, usize)>,
    count: usize,
    /// The most recently read row groups, newest last.
    kept: Mutex<Vec<(usize, Rows)>>,
}

impl Tables {
    fn new(tables: Vec<Table>) -> Self {
        let (mut groups, mut count) = (Vec::new(), 0);
        for (i, table) in tables.iter().enumerate() {
            for (group, rows) in table.rows.iter().enumerate().filter(|(_, rows)| **rows > 0) {
                groups.push((i, group, count));
                count += rows;
            }
        }
        Self { tables, groups, count, kept: Mutex::default() }
    }

    /// The pictures of a row group. They are kept in memory until [`KEPT`] other row groups have been read.
    fn group(&self, number: usize) -> Result<Rows> {
        let mut kept = self.kept.lock_unpoisoned();
        if let Some((_, rows)) = kept.iter().find(|(known, _)| *known == number) {
            return Ok(rows.clone());
        }
        if kept.len() == KEPT {
            kept.remove(0);
        }
        let (table, group, _) = self.groups[number];
        let table = &self.tables[table];
        let read = decoding("Parquet", || table.pictures(group));
        let rows = Arc::new(read.with_context(|| format!("reading \"{}\"", words::path(&table.path)))?);
        kept.push((number, rows.clone()));
        Ok(rows)
    }
}

impl StoredPictures for Tables {
    fn count(&self) -> usize {
        self.count
    }

    fn picture(&self, i: usize) -> Result<Picture> {
        let number = self.groups.partition_point(|(.., first)| *first <= i) - 1;
        let (table, _, first) = self.groups[number];
        let rows = self.group(number)?;
        let file = word(&self.tables[table].path);
        let bytes = rows.get(i - first).and_then(Option::as_ref).with_context(|| {
            format!(
                "picture {i} of \"{}\" is stored only as a path; save the data set with the pictures embedded",
                words::name(&file)
            )
        })?;
        Picture::named(&format!("{}[{i}]", words::name(&file)), bytes.data())
    }

    fn identify(&self, hash: &mut Sha256) -> Result<()> {
        self.tables.iter().try_for_each(|table| identify_file(&table.path, hash))
    }
}
