//! MNIST as published by its authors: IDX files, gzipped or not (LeCun, Cortes & Burges).

use crate::data::part::split;
use crate::data::{Dataset, Split, read_whole};
use crate::panics::decoding;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Maximum size of a file in bytes, both compressed and decompressed.
const LIMIT: usize = 1 << 30;

/// Subfolders that are searched for the files; the last two follow torchvision's layout.
const FOLDERS: [&str; 3] = ["", "raw", "MNIST/raw"];

/// Opens MNIST in a folder. `DIR` selects the test set, `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`; `DIR#train`
/// selects the training set, `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`. Each file may also end in `.gz`.
///
/// Pictures are `(1, H, W)`, 28 x 28 in the original, in ten classes, "0" to "9". Errors if a file is missing, damaged or not in
/// IDX format, if the numbers of pictures and labels differ, or if a label is above 9.
pub fn open(text: &str) -> Result<Dataset> {
    let (folder, wanted) = split(text);
    ensure!(wanted != Some(Split::Validation), "MNIST has no #val; use #test or #train");
    let set = if wanted == Some(Split::Train) { "train" } else { "t10k" };
    let (images, labels) = (find(folder, set, "images-idx3")?, find(folder, set, "labels-idx1")?);
    let ([count, height, width], pixels) = read(&images)?;
    let ([labelled], digits) = read(&labels)?;
    ensure!(
        count == labelled,
        "\"{}\" has {count} pictures, but \"{}\" has {labelled} labels",
        words::path(&images),
        words::path(&labels)
    );
    if let Some(i) = digits.iter().position(|&digit| digit > 9) {
        bail!("label {i} in \"{}\" is {}; digits are 0 to 9", words::path(&labels), digits[i]);
    }
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    let labels = digits.into_iter().map(usize::from).collect();
    Dataset::of_bytes(&format!("mnist:{text}"), classes, [1, height, width], pixels, labels)
}

/// Whether a folder holds MNIST's test or training set.
pub fn fits(path: &Path) -> bool {
    ["t10k", "train"].iter().any(|set| find(path, set, "images-idx3").is_ok())
}

/// Finds a file of a data set; `set` is `train` or `t10k`, `part` is `images-idx3` or `labels-idx1`. Some copies of MNIST have a
/// dot before `idx`.
fn find(folder: &Path, set: &str, part: &str) -> Result<PathBuf> {
    let name = format!("{set}-{part}-ubyte");
    let dotted = name.replace("-idx", ".idx");
    let names = [format!("{name}.gz"), name.clone(), format!("{dotted}.gz"), dotted];
    let mut paths = FOLDERS.iter().flat_map(|sub| names.iter().map(move |name| folder.join(sub).join(name)));
    let found = paths.find(|path| path.is_file());
    found.with_context(|| {
        format!("no \"{name}\" or \"{name}.gz\" in \"{}\"; the splits are #test and #train", words::path(&folder))
    })
}

/// Reads an IDX file of unsigned bytes with `N` dimensions; returns its shape and values.
fn read<const N: usize>(path: &Path) -> Result<([usize; N], Vec<u8>)> {
    let packed = read_whole(path, LIMIT as u64)?;
    let read = match packed.starts_with(&[0x1f, 0x8b]) {
        true => decoding("gzip", || parse(MultiGzDecoder::new(&packed[..]))),
        false => parse(&packed[..]),
    };
    read.with_context(|| format!("reading \"{}\" as an IDX file", words::path(&path)))
}

/// Parses an IDX file, which is big-endian: two zero bytes, 8 for unsigned bytes, the number of dimensions; four bytes for the
/// size of each dimension; then the values.
fn parse<const N: usize>(mut file: impl Read) -> Result<([usize; N], Vec<u8>)> {
    const CUT: &str = "the file is damaged or truncated";
    let mut number = || {
        let mut bytes = [0; 4];
        file.read_exact(&mut bytes).context(CUT)?;
        anyhow::Ok(u32::from_be_bytes(bytes))
    };
    let (magic, wanted) = (number()?, 0x0800 + N as u32);
    ensure!(magic == wanted, "the first four bytes are {magic:08x} instead of {wanted:08x}");
    let mut sizes = [0; N];
    for size in &mut sizes {
        *size = number()? as usize;
    }
    let count = sizes.iter().try_fold(1, |product: usize, &n| product.checked_mul(n));
    let count = count.filter(|&count| count <= LIMIT).with_context(|| format!("the sizes {sizes:?} are too large"))?;
    let mut values = Vec::new();
    file.take(count as u64 + 1).read_to_end(&mut values).context(CUT)?;
    ensure!(values.len() >= count, "{CUT}: {} of {count} values", values.len());
    ensure!(values.len() == count, "the file has more values than the sizes {sizes:?} imply");
    Ok((sizes, values))
}
