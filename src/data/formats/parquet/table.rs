//! One Parquet file: its columns with pictures and labels.

use super::{pages, thrift};
use crate::data::open as open_file;
use crate::memory::reserve;
use crate::panics::decoding;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes};
use parquet::basic::{Compression, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

/// Names of the columns with pictures and with labels.
const PICTURES: [&str; 6] = ["image", "img", "picture", "photo", "image_bytes", "bytes"];
const LABELS: [&str; 7] = ["label", "labels", "fine_label", "class", "target", "category", "class_name"];

/// Maximum number of groups in a schema, which the library traverses recursively.
const MAX_GROUPS: usize = 200;

/// A Parquet file.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) path: PathBuf,
    /// Number of rows of each row group.
    pub(super) rows: Vec<usize>,
    /// The class of each picture.
    pub(super) classes: Classes,
    /// Class names by index, from the metadata of the `datasets` library; empty if there are none.
    pub(super) names: Vec<String>,
    metadata: ParquetMetaData,
    /// Index of the picture column.
    column: usize,
}

/// The labels of a table.
#[derive(Debug)]
pub(super) enum Classes {
    Numbers(Vec<i64>),
    Words(Vec<String>),
    None,
}

impl Table {
    /// Reads the metadata and the labels of a file.
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let mut file = open_file(&path, u64::MAX)?;
        let length = file.metadata()?.len();
        check_footer(&mut file, length)?;
        let metadata =
            ParquetMetaDataReader::new().parse_and_finish(&file).context("the file is damaged or truncated")?;
        let columns = metadata.file_metadata().schema_descr().columns();
        let column = columns.iter().position(|column| is_picture(column)).with_context(|| {
            let names: Vec<_> =
                columns.iter().take(8).map(|column| words::name(&column.path().string()).into_owned()).collect();
            format!(
                "the columns are {}; expected \"image\" with pictures as bytes, and \"label\" with classes",
                names.join(", ")
            )
        })?;
        let label = LABELS.iter().find_map(|name| columns.iter().position(|column| is_label(column, name)));
        let names = label.map_or_else(Vec::new, |label| names(&metadata, columns[label].name()));
        let mut rows = Vec::new();
        for group in metadata.row_groups() {
            rows.push(usize::try_from(group.num_rows()).context("a row group has a negative number of rows")?);
        }
        let all = rows.iter().try_fold(0usize, |all, rows| all.checked_add(*rows)).filter(|all| *all as u64 <= length);
        ensure!(all.is_some(), "the file is damaged: it claims more rows than it has bytes");
        let mut table = Self { path, rows, classes: Classes::None, names, metadata, column };
        if let Some(label) = label {
            table.classes = table.labels(&mut file, label)?;
        }
        Ok(table)
    }

    /// The pictures of a row group, as encoded files; `None` for rows without a picture.
    pub(super) fn pictures(&self, group: usize) -> Result<Vec<Option<ByteArray>>> {
        let mut file = open_file(&self.path, u64::MAX)?;
        match self.reader(&mut file, group, self.column)? {
            ColumnReader::ByteArrayColumnReader(reader) => self.values(reader, group, self.column),
            _ => bail!("the picture column does not contain bytes"),
        }
    }

    fn labels(&self, file: &mut File, column: usize) -> Result<Classes> {
        let (mut numbers, mut words) = (Vec::new(), Vec::new());
        let no_label = || "a row has no label";
        for group in 0..self.rows.len() {
            match self.reader(file, group, column)? {
                ColumnReader::Int32ColumnReader(reader) => {
                    for value in self.values(reader, group, column)? {
                        numbers.push(value.with_context(no_label)?.into());
                    }
                }
                ColumnReader::Int64ColumnReader(reader) => {
                    for value in self.values(reader, group, column)? {
                        numbers.push(value.with_context(no_label)?);
                    }
                }
                ColumnReader::ByteArrayColumnReader(reader) => {
                    for value in self.values(reader, group, column)? {
                        words.push(String::from_utf8_lossy(value.with_context(no_label)?.data()).into_owned());
                    }
                }
                _ => bail!("the labels are neither integers nor text"),
            }
        }
        Ok(if numbers.is_empty() { Classes::Words(words) } else { Classes::Numbers(numbers) })
    }

    /// A reader for one column of a row group. Reads the bytes of the column into memory and checks them.
    fn reader(&self, file: &mut File, group: usize, column: usize) -> Result<ColumnReader> {
        const DAMAGED: &str = "the file is damaged or truncated";
        let about = self.metadata.row_group(group).column(column);
        let packed = match about.compression() {
            Compression::UNCOMPRESSED => false,
            Compression::SNAPPY => true,
            other => {
                let name = format!("{other:?}");
                let name = name.split('(').next().unwrap_or_default();
                bail!("the file is compressed with {name}; save it with Snappy, the default: compression=\"snappy\"")
            }
        };
        let (start, length) = about.byte_range();
        let end = start.checked_add(length).filter(|end| *end <= file.metadata().map_or(0, |facts| facts.len()));
        end.context(DAMAGED)?;
        reserve(length as usize, || "a row group".into())?;
        let mut bytes = vec![0; length as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes).context(DAMAGED)?;
        let unpacked = pages::check(&bytes, self.rows[group], packed).with_context(|| format!("row group {group}"))?;
        reserve(unpacked, || "a row group".into())?;
        let chunk = Chunk { start, bytes: bytes.into() };
        let pages = SerializedPageReader::new(Arc::new(chunk), about, self.rows[group], None)?;
        Ok(get_column_reader(self.metadata.file_metadata().schema_descr().column(column), Box::new(pages)))
    }

    /// All values of a column of a row group; `None` for null values.
    fn values<T: DataType>(
        &self,
        mut reader: ColumnReaderImpl<T>,
        group: usize,
        column: usize,
    ) -> Result<Vec<Option<T::T>>> {
        let rows = self.rows[group];
        let full = self.metadata.file_metadata().schema_descr().column(column).max_def_level();
        let (mut levels, mut values, mut read) = (Vec::new(), Vec::new(), 0);
        while read < rows {
            let (records, ..) = reader.read_records(rows - read, Some(&mut levels), None, &mut values)?;
            ensure!(records > 0, "row group {group} has {read} of {rows} rows; the file is damaged or truncated");
            read += records;
        }
        if full == 0 {
            return Ok(values.into_iter().map(Some).collect());
        }
        let mut values = values.into_iter();
        let row = |level: i16| if level == full { values.next() } else { None };
        let all: Vec<_> = levels.into_iter().map(row).collect();
        ensure!(all.len() == rows, "row group {group} has {} levels for {rows} rows; the file is damaged", all.len());
        Ok(all)
    }
}

/// Errors if a file does not end with Parquet metadata, or if its schema is too deeply nested for the library.
fn check_footer(file: &mut File, length: u64) -> Result<()> {
    const NONE: &str = "the file is not a Parquet file, or it is truncated; create one with Dataset.to_parquet";
    let mut tail = [0; 8];
    let end = length.checked_sub(8).context(NONE)?;
    file.seek(SeekFrom::Start(end))?;
    file.read_exact(&mut tail)?;
    ensure!(tail[4..] == *b"PAR1", NONE);
    let size = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    let start = end.checked_sub(size).context(NONE)?;
    reserve(size as usize, || "the metadata of a Parquet file".into())?;
    let mut footer = vec![0; size as usize];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut footer)?;
    let mut groups = 0;
    // Field 5 of a schema element (field 2 of the metadata) is its number of children.
    let read = thrift::integers(&footer, &mut |path, value| groups += usize::from(*path == [2, 5] && value > 0));
    read.context("the metadata of the Parquet file is damaged")?;
    ensure!(groups <= MAX_GROUPS, "the schema has {groups} groups, more than the limit of {MAX_GROUPS}");
    Ok(())
}

/// Whether a column holds encoded pictures: it has one of the known names, or is the field `bytes` of a struct with such a name.
fn is_picture(column: &ColumnDescriptor) -> bool {
    let path: Vec<_> = column.path().parts().iter().map(String::as_str).collect();
    let named = matches!(path[..], [name] | [name, "bytes"] if PICTURES.contains(&name));
    named && column.physical_type() == Type::BYTE_ARRAY && column.max_rep_level() == 0
}

fn is_label(column: &ColumnDescriptor, name: &str) -> bool {
    let kinds = [Type::INT32, Type::INT64, Type::BYTE_ARRAY];
    column.path().string() == name && column.max_rep_level() == 0 && kinds.contains(&column.physical_type())
}

/// The class names of a column, which the `datasets` library stores as JSON.
fn names(metadata: &ParquetMetaData, column: &str) -> Vec<String> {
    let pairs = metadata.file_metadata().key_value_metadata();
    let json = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == "huggingface")?.value.as_deref());
    let value: Value = json.and_then(|json| decoding("JSON", || serde_json::from_str(json)).ok()).unwrap_or_default();
    let names = value["info"]["features"][column]["names"].as_array();
    names.into_iter().flatten().filter_map(|name| name.as_str().map(String::from)).collect()
}

/// The bytes of one column of a row group, starting at an offset in the file.
struct Chunk {
    start: u64,
    bytes: Bytes,
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Chunk {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let from = self.place(start, 0)?;
        Ok(self.bytes.slice(from..).reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let from = self.place(start, length)?;
        Ok(self.bytes.slice(from..from + length))
    }
}

impl Chunk {
    /// The index in the chunk of the `length` bytes that begin at the file offset `start`.
    fn place(&self, start: u64, length: usize) -> parquet::errors::Result<usize> {
        let from = start.checked_sub(self.start).map(|from| from as usize);
        let from = from.filter(|from| from.checked_add(length).is_some_and(|end| end <= self.bytes.len()));
        from.ok_or_else(|| ParquetError::EOF("a page extends beyond its column".into()))
    }
}
