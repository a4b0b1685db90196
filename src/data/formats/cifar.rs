//! CIFAR-10 and CIFAR-100 as published, in both the binary and the Python version (Krizhevsky 2009).

use super::pickle::{self, Pickle, Value};
use crate::data::part::split;
use crate::data::{Dataset, Split, open as open_file, read_text, read_whole};
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Names of CIFAR-10's classes, in the order of their labels.
pub const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Number of bytes per picture: a red, a green and a blue plane of 32 x 32 bytes each.
const PICTURE: usize = 3 * 32 * 32;

/// Maximum file size in bytes.
const LIMIT: u64 = 1 << 30;

/// The format of CIFAR-10 or of CIFAR-100.
struct Kind {
    /// Name before the colon in a specification.
    scheme: &'static str,
    /// Number of classes.
    classes: usize,
    /// Number of label bytes in a binary record. The last one is the class; in CIFAR-100 the first is the superclass.
    labels: usize,
    /// Key of the labels in a pickle.
    key: &'static str,
    /// Files in a folder, for the binary version and the Python version.
    layouts: [Layout; 2],
}

/// The files of one version of a data set.
struct Layout {
    /// Name of the folder in the published archive.
    folder: &'static str,
    train: &'static [&'static str],
    test: &'static str,
}

const TEN: Kind = Kind {
    scheme: "cifar10",
    classes: 10,
    labels: 1,
    key: "labels",
    layouts: [
        Layout {
            folder: "cifar-10-batches-bin",
            train: &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
            ],
            test: "test_batch.bin",
        },
        Layout {
            folder: "cifar-10-batches-py",
            train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
            test: "test_batch",
        },
    ],
};

const HUNDRED: Kind = Kind {
    scheme: "cifar100",
    classes: 100,
    labels: 2,
    key: "fine_labels",
    layouts: [
        Layout { folder: "cifar-100-binary", train: &["train.bin"], test: "test.bin" },
        Layout { folder: "cifar-100-python", train: &["train"], test: "test" },
    ],
};

/// Opens CIFAR-10 pictures of shape `(3, 32, 32)` in ten classes. `FILE` is a binary file of 3073-byte records or a pickle.
/// `DIR` selects the test set, `test_batch.bin` or `test_batch`; `DIR#train` selects the training set, `data_batch_1` to
/// `data_batch_5`.
///
/// Errors if a file is missing, empty or in a different format, or if a label is above 9.
pub fn open(text: &str) -> Result<Dataset> {
    read(&TEN, text)
}

/// Opens CIFAR-100 pictures of shape `(3, 32, 32)` in a hundred classes, like [`open`]. `DIR` selects the test set, `test.bin` or
/// `test`; `DIR#train` selects the training set, `train.bin` or `train`. The class names are read from a file in the same folder.
pub fn open_hundred(text: &str) -> Result<Dataset> {
    read(&HUNDRED, text)
}

/// Whether a path is a file or folder of CIFAR-10.
pub fn fits(path: &Path) -> bool {
    is_of(&TEN, path)
}

/// Whether a path is a file or folder of CIFAR-100.
pub fn fits_hundred(path: &Path) -> bool {
    is_of(&HUNDRED, path)
}

/// Whether a folder has CIFAR-10's training set.
pub fn has_training(path: &Path) -> bool {
    path.is_dir() && files(&TEN, path, true).is_ok()
}

/// Whether a folder has CIFAR-100's training set.
pub fn has_training_hundred(path: &Path) -> bool {
    path.is_dir() && files(&HUNDRED, path, true).is_ok()
}

fn read(kind: &Kind, text: &str) -> Result<Dataset> {
    let (path, wanted) = split(text);
    ensure!(wanted != Some(Split::Validation), "CIFAR has no #val; use #test or #train");
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let files = match (path.is_file(), wanted) {
        (true, None) => vec![path.into()],
        (true, Some(_)) => bail!(
            "\"{}\" is a single file without splits; give the folder with {}",
            words::path(&path),
            kind.layouts[0].train[0]
        ),
        _ => files(kind, path, wanted == Some(Split::Train))?,
    };
    for file in &files {
        let bytes = read_whole(file, LIMIT)?;
        let read = match is_pickle(&bytes) {
            true => pickled(kind, &bytes, &mut pixels, &mut labels),
            false => records(kind, &bytes, &mut pixels, &mut labels),
        };
        read.with_context(|| format!("reading \"{}\"", words::path(file)))?;
    }
    let classes = names(kind, files[0].parent().unwrap_or(path))?;
    Dataset::of_bytes(&format!("{}:{text}", kind.scheme), classes, [3, 32, 32], pixels, labels)
}

/// The files of a split: those of the first version that is complete in the folder, or in its subfolder named
/// like the folder in the published archive.
fn files(kind: &Kind, path: &Path, train: bool) -> Result<Vec<PathBuf>> {
    ensure!(path.is_dir(), "no file or folder \"{}\"; the splits of a folder are #test and #train", words::path(&path));
    let names = |layout: &Layout| if train { layout.train.to_vec() } else { vec![layout.test] };
    let candidates: Vec<Vec<PathBuf>> = kind
        .layouts
        .iter()
        .flat_map(|layout| [path.to_path_buf(), path.join(layout.folder)].map(|folder| (folder, names(layout))))
        .map(|(folder, names)| names.into_iter().map(|name| folder.join(name)).collect())
        .collect();
    let missing = |files: &Vec<PathBuf>| files.iter().filter(|file| !file.is_file()).count();
    if let Some(whole) = candidates.iter().find(|files| missing(files) == 0) {
        return Ok(whole.clone());
    }
    // The version with the fewest missing files.
    let closest = candidates.iter().min_by_key(|files| missing(files) * 10 / files.len());
    let absent = closest.and_then(|files| files.iter().find(|file| !file.is_file()));
    let name = absent.and_then(|file| file.file_name()).unwrap_or_default().to_string_lossy().into_owned();
    bail!(
        "no \"{name}\" in \"{}\"; give a file of the binary or Python version, or the folder that contains the files",
        words::path(&path)
    )
}

fn is_of(kind: &Kind, path: &Path) -> bool {
    match path.is_dir() {
        true => files(kind, path, false).or_else(|_| files(kind, path, true)).is_ok(),
        false => looks_like(kind, path).unwrap_or(false),
    }
}

/// Whether a file looks like a batch: a pickle with the file name of a published batch, or a `.bin` file of whole records, the first
/// of which has valid labels.
fn looks_like(kind: &Kind, path: &Path) -> Result<bool> {
    const NEAR: u64 = 4096;
    let mut file = open_file(path, LIMIT)?;
    let size = file.metadata()?.len();
    let mut head = Vec::new();
    (&mut file).take(NEAR).read_to_end(&mut head)?;
    if is_pickle(&head) {
        let named = path.file_name().is_some_and(|name| {
            kind.layouts[1].train.iter().chain([&kind.layouts[1].test]).any(|known| name == *known)
        });
        return Ok(named);
    }
    let record = (kind.labels + PICTURE) as u64;
    let label = |i: usize| head.get(i).is_some_and(|label| usize::from(*label) < kind.classes);
    let binary = path.extension().is_some_and(|ending| ending == "bin");
    Ok(binary && size > 0 && size.is_multiple_of(record) && (0..kind.labels).all(label))
}

fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..] | [b'(', b'd', ..])
}

/// Splits the bytes of a binary file into records and appends them to `pixels` and `labels`.
fn records(kind: &Kind, bytes: &[u8], pixels: &mut Vec<u8>, labels: &mut Vec<usize>) -> Result<()> {
    let record = kind.labels + PICTURE;
    ensure!(
        !bytes.is_empty() && bytes.len().is_multiple_of(record),
        "the file is not a pickle, and its size of {} bytes is not a multiple of {record}, the record size of CIFAR-{}'s binary version",
        bytes.len(),
        kind.classes
    );
    pixels.reserve(bytes.len() / record * PICTURE);
    for record in bytes.chunks_exact(record) {
        let (head, planes) = record.split_at(kind.labels);
        labels.push(valid(kind, head[kind.labels - 1].into(), labels.len())?);
        pixels.extend_from_slice(planes);
    }
    Ok(())
}

/// Appends the pictures and labels of a batch of the Python version.
fn pickled(kind: &Kind, bytes: &[u8], pixels: &mut Vec<u8>, labels: &mut Vec<usize>) -> Result<()> {
    let pickle = pickle::load(bytes)?;
    let value = |key: &str| {
        let keys = || pickle.keys().iter().take(8).map(|key| format!("\"{}\"", words::name(key))).collect::<Vec<_>>();
        pickle.get(key).with_context(|| {
            let (known, classes) = (keys().join(", "), kind.classes);
            format!(
                "the pickle has no key \"{key}\", unlike the Python version of CIFAR-{classes}; the keys are {known}"
            )
        })
    };
    let planes = pickle.array(value("data")?)?;
    let classes = numbers(&pickle, value(kind.key)?);
    ensure!(
        !classes.is_empty() && planes.len() == classes.len() * PICTURE,
        "the file has {} labels but {} bytes of pictures; each picture has {PICTURE} bytes",
        classes.len(),
        planes.len()
    );
    for class in classes {
        labels.push(valid(kind, class, labels.len())?);
    }
    pixels.extend_from_slice(planes);
    Ok(())
}

fn numbers(pickle: &Pickle, list: Value) -> Vec<i64> {
    pickle.items(list).iter().filter_map(|item| if let Value::Int(n) = item { Some(*n) } else { None }).collect()
}

fn valid(kind: &Kind, label: i64, picture: usize) -> Result<usize> {
    let class = usize::try_from(label).ok().filter(|class| *class < kind.classes);
    class.with_context(|| format!("picture {picture} has the label {label}; labels are 0 to {}", kind.classes - 1))
}

/// The class names: CIFAR-10's are built in, CIFAR-100's are read from a file next to the data; empty if there is no such file.
fn names(kind: &Kind, folder: &Path) -> Result<Vec<String>> {
    if kind.classes == CLASSES.len() {
        return Ok(CLASSES.map(String::from).into());
    }
    let (text, meta) = (folder.join("fine_label_names.txt"), folder.join("meta"));
    let names: Vec<String> = if text.is_file() {
        read_text(&text, LIMIT)?.lines().map(str::trim).filter(|name| !name.is_empty()).map(String::from).collect()
    } else if meta.is_file() {
        let bytes = read_whole(&meta, LIMIT)?;
        let pickle = pickle::load(&bytes).with_context(|| format!("reading \"{}\"", words::path(&meta)))?;
        let list = pickle.get("fine_label_names").map_or(&[][..], |list| pickle.items(list));
        let name = |item: &Value| {
            if let Value::Bytes(b) = item { Some(String::from_utf8_lossy(b).into_owned()) } else { None }
        };
        list.iter().filter_map(name).collect()
    } else {
        return Ok(Vec::new());
    };
    ensure!(
        names.len() == kind.classes,
        "the class name file next to the data has {} names instead of {}",
        names.len(),
        kind.classes
    );
    Ok(names)
}
