//! CIFAR-10 in its binary format (Krizhevsky 2009).

use crate::data::part::split;
use crate::data::{Dataset, read_whole};
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

/// Names of the ten classes, in the order of their labels.
pub const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Bytes per record: a label, then a red, a green and a blue plane of 32 x 32 bytes each.
const RECORD: usize = 1 + 3 * 32 * 32;

/// Maximum file size in bytes.
const LIMIT: u64 = 1 << 30;

/// Opens CIFAR-10 pictures of shape `(3, 32, 32)` in ten classes. `FILE` is read as any number of 3073-byte records; `DIR` reads
/// its `test_batch.bin`, and `DIR#train` its `data_batch_1.bin` to `data_batch_5.bin`.
///
/// Errors if a file is missing, is empty or does not consist of 3073-byte records, or if a label is above 9.
pub fn open(text: &str) -> Result<Dataset> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for path in files(text)? {
        let bytes = read_whole(&path, LIMIT)?;
        records(&bytes, &mut pixels, &mut labels).with_context(|| format!("reading \"{}\"", words::path(&path)))?;
    }
    Dataset::of_bytes(&format!("cifar10:{text}"), CLASSES.map(String::from).into(), [3, 32, 32], pixels, labels)
}

fn files(text: &str) -> Result<Vec<PathBuf>> {
    let (path, train) = split(text);
    if Path::new(text).is_file() {
        return Ok(vec![text.into()]);
    }
    if path.is_file() {
        bail!("\"{}\" is a single file without splits; give the folder with data_batch_1.bin", words::path(&path));
    }
    ensure!(path.is_dir(), "no file or folder \"{}\"; the splits of a folder are #test and #train", words::path(&path));
    let names: Vec<_> = match train {
        true => (1..=5).map(|i| format!("data_batch_{i}.bin")).collect(),
        false => vec!["test_batch.bin".into()],
    };
    let paths: Vec<_> = names.iter().map(|name| path.join(name)).collect();
    let missing = paths.iter().position(|path| !path.is_file());
    match missing {
        Some(i) => bail!(
            "no \"{}\" in \"{}\"; give a file of CIFAR-10 records or the folder that contains them",
            names[i],
            words::path(&path)
        ),
        None => Ok(paths),
    }
}

/// Splits the bytes of a file into records and appends them to `pixels` and `labels`.
fn records(bytes: &[u8], pixels: &mut Vec<u8>, labels: &mut Vec<usize>) -> Result<()> {
    let (records, rest) = bytes.as_chunks::<RECORD>();
    ensure!(
        rest.is_empty() && !records.is_empty(),
        "its size of {} bytes is not a multiple of {RECORD}, the record size of CIFAR-10's binary version",
        bytes.len()
    );
    pixels.reserve(records.len() * (RECORD - 1));
    for [label, planes @ ..] in records {
        ensure!(
            usize::from(*label) < CLASSES.len(),
            "picture {} has the label {label}; labels are 0 to 9",
            labels.len()
        );
        labels.push((*label).into());
        pixels.extend_from_slice(planes);
    }
    Ok(())
}
