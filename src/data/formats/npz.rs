//! Data sets as NumPy archives: `.npz` files of pictures and labels.

use super::npy::{Npy, parse_header, parse_npy};
use crate::data::part::{self, choose, split};
use crate::data::stored::StoredPictures;
use crate::data::{Dataset, Labels, Picture, Split, open as open_file};
use crate::memory::reserve;
use crate::panics::decoding;
use crate::tensor::shape_text;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use zip::ZipArchive;

/// Maximum size of an archive, and of an array in it, in bytes.
const LIMIT: u64 = 16 << 30;

/// Names of the arrays of pictures and of labels, in lower case, excluding the name of the split.
const PICTURES: [&str; 8] = ["x", "images", "image", "data", "pixels", "imgs", "inputs", "arr_0"];
const CLASSES: [&str; 7] = ["y", "labels", "label", "targets", "target", "classes", "arr_1"];

/// A description of the format, for error messages.
const EXAMPLE: &str = "expected pictures \"x\", \"images\", \"x_test\", \"test_images\" or \"arr_0\" and labels \"y\", \"labels\", \"y_test\", \
    \"test_labels\" or \"arr_1\", as in numpy.savez(\"set.npz\", x=images, y=labels)";

type Archive = ZipArchive<BufReader<File>>;

/// Opens the pictures and labels of an archive.
///
/// Pictures are `(N, H, W)`, `(N, H, W, C)` or `(N, C, H, W)`, integers from 0 to 255 or floats from 0 to 1; labels are `(N)`,
/// `(N, 1)` or one-hot `(N, classes)`. Array names may indicate a split, as in `x_train` or MedMNIST's `test_images`; the
/// suffix selects the split, by default the test split. Errors if an array is missing or damaged, or has an unsupported shape.
pub fn open(text: &str) -> Result<Dataset> {
    let (path, wanted) = split(text);
    let name = format!("npz:{text}");
    let mut archive = archive(path)?;
    let names = arrays(&archive);
    let found = || format!("found {}; {EXAMPLE}", listed(&names));
    let pictures = of_kind(&names, &PICTURES);
    ensure!(!pictures.is_empty(), "the file has no array of pictures; {}", found());
    let chosen = choose(pictures, wanted, |array| array.split)?;
    let classes = of_kind(&names, &CLASSES).into_iter().filter(|array| array.split == chosen[0].split);
    let labels = classes.min_by_key(|array| array.rank).map(|array| labels(&mut archive, &array.name)).transpose()?;
    let array = chosen.iter().min_by_key(|array| array.rank).with_context(found)?;
    let read = pixels(&mut archive, &array.name)?;
    let count = read.count;
    if let Some(labels) = &labels {
        ensure!(
            labels.len() == count,
            "\"{}\" has {count} pictures, but there are {} labels",
            array.name,
            labels.len()
        );
    }
    let labels = labels.map_or(Ok(Labels::default()), |labels| Labels::of_signed(labels, Vec::new()))?;
    Dataset::of_stored(&name, Arc::new(read), labels)
}

/// Whether a path is a NumPy archive.
pub fn fits(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz")) && path.is_file()
}

/// Whether an archive has a training split and at least one other.
pub fn has_training(path: &Path) -> bool {
    archive(path).is_ok_and(|archive| part::has_training(&of_kind(&arrays(&archive), &PICTURES), |array| array.split))
}

/// An array in an archive, and the meaning of its name.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    split: Option<Split>,
    /// Index of the name in the list of known names.
    rank: usize,
}

/// Pictures of equal size, held in memory.
#[derive(Debug)]
struct Array {
    count: usize,
    /// Shape of a picture, `(C, H, W)`.
    shape: [usize; 3],
    values: Values,
}

/// The values of pictures, in `(N, C, H, W)` order.
#[derive(Debug)]
enum Values {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

impl StoredPictures for Array {
    fn count(&self) -> usize {
        self.count
    }

    fn picture(&self, i: usize) -> Result<Picture> {
        let size: usize = self.shape.iter().product();
        let place = i * size..(i + 1) * size;
        let values = match &self.values {
            Values::Bytes(bytes) => bytes[place].iter().map(|&b| f32::from(b) / 255.0).collect(),
            Values::Floats(values) => values[place].to_vec(),
        };
        Ok(Picture::Values(Tensor::from_vec(values, &self.shape[..], &Device::Cpu)?))
    }

    fn identify(&self, hash: &mut Sha256) -> Result<()> {
        hash.update(format!("{:?}", self.shape));
        match &self.values {
            Values::Bytes(bytes) => hash.update(bytes),
            Values::Floats(values) => values.iter().for_each(|v| hash.update(v.to_le_bytes())),
        }
        Ok(())
    }
}

fn archive(path: &Path) -> Result<Archive> {
    let file = open_file(path, LIMIT)?;
    decoding("zip", || ZipArchive::new(BufReader::new(file)))
        .with_context(|| format!("the file is not a zip archive of arrays, or it is damaged or truncated; {EXAMPLE}"))
}

/// Names of the arrays in an archive, without `.npy`.
fn arrays(archive: &Archive) -> Vec<String> {
    archive.file_names().filter_map(|name| name.strip_suffix(".npy")).map(String::from).collect()
}

fn listed(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(8).map(|name| format!("\"{}\"", words::name(name))).collect();
    match shown.is_empty() {
        true => "no arrays".into(),
        false => shown.join(", ") + if names.len() > shown.len() { ", …" } else { "" },
    }
}

/// The arrays whose name, without the name of a split, is in `known`.
fn of_kind(names: &[String], known: &[&str]) -> Vec<Named> {
    let named = |name: &String| {
        let lower = name.to_lowercase();
        let split = Split::of_name(&lower);
        let parts = lower.split('_').filter(|part| split.is_none() || Split::of_name(part).is_none());
        let plain = parts.collect::<Vec<_>>().join("_");
        let rank = known.iter().position(|known| *known == plain)?;
        Some(Named { name: name.clone(), split, rank })
    };
    names.iter().filter_map(named).collect()
}

/// Reads the bytes of an array. Errors if their number differs from the size stated in the archive.
fn member(archive: &mut Archive, name: &str) -> Result<Vec<u8>> {
    let what = || format!("reading the array \"{}\"", words::name(name));
    let read = || {
        let mut member = archive.by_name(&format!("{name}.npy"))?;
        let size = member.size();
        ensure!(size <= LIMIT, "the array has {size} bytes, more than the limit of {LIMIT}");
        reserve(size as usize, || format!("the array \"{}\"", words::name(name)))?;
        let mut bytes = Vec::new();
        (&mut member).take(size + 1).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 == size, "the file is damaged: the array has {} of {size} bytes", bytes.len());
        anyhow::Ok(bytes)
    };
    decoding("zip", read).with_context(what)
}

fn array(bytes: &[u8], name: &str) -> Result<Npy> {
    parse_npy(bytes).with_context(|| format!("reading the array \"{}\"", words::name(name)))
}

/// The class of each picture.
fn labels(archive: &mut Archive, name: &str) -> Result<Vec<i64>> {
    let Npy { shape, values, .. } = array(&member(archive, name)?, name)?;
    let shown = words::name(name);
    let whole = |v: &f32| v.fract() == 0.0 && v.abs() < 1e9;
    if let Some(i) = values.iter().position(|v| !whole(v)) {
        bail!("value {i} of the array \"{shown}\" is {}; labels must be integers", values[i]);
    }
    match shape[..] {
        [_] | [_, 1] => Ok(values.iter().map(|v| *v as i64).collect()),
        [count, classes] if classes > 1 => {
            let row = |i: usize| {
                let row = &values[i * classes..(i + 1) * classes];
                let set: Vec<_> = (0..classes).filter(|&class| row[class] != 0.0).collect();
                match set[..] {
                    [class] if row[class] == 1.0 => Ok(class as i64),
                    _ => bail!(
                        "row {i} of the array \"{shown}\" is not one-hot: {} values are not 0; exactly one must be 1",
                        set.len()
                    ),
                }
            };
            (0..count).map(row).collect()
        }
        _ => bail!("the shape of \"{shown}\" is {}; labels must be N, Nx1, or one-hot NxCLASSES", shape_text(&shape)),
    }
}

/// The pictures of an array.
fn pixels(archive: &mut Archive, name: &str) -> Result<Array> {
    let mut bytes = member(archive, name)?;
    let shown = words::name(name);
    let (header, data) = parse_header(&bytes).with_context(|| format!("reading the array \"{shown}\""))?;
    let start = bytes.len() - data.len();
    let (count, mut shape, last) = layout(&header.shape).with_context(|| {
        let text = shape_text(&header.shape);
        format!("the shape of \"{shown}\" is {text}; pictures must be NxHxW, NxHxWxC or NxCxHxW")
    })?;
    let size = shape.iter().try_fold(1usize, |size, n| size.checked_mul(*n));
    let total =
        size.and_then(|size| size.checked_mul(count)).with_context(|| format!("the array \"{shown}\" is too large"))?;
    ensure!(total > 0, "the array \"{shown}\" has no pictures");
    let mut values = match (&header.descr[1..], header.fortran) {
        ("u1", false) => {
            ensure!(data.len() == total, "the array \"{shown}\" has {} bytes instead of {total}", data.len());
            bytes.drain(..start);
            Values::Bytes(bytes)
        }
        _ => scaled(array(&bytes, name)?, &shown)?,
    };
    if last {
        let [h, w, c] = shape;
        match &mut values {
            Values::Bytes(bytes) => channels_first(bytes, h * w, c),
            Values::Floats(values) => channels_first(values, h * w, c),
        }
        shape = [c, h, w];
    }
    Ok(Array { count, shape, values })
}

/// The number of pictures, the shape of a picture, and whether the channels are last, given the shape of an array; `None` if the
/// array cannot hold pictures. If either of two dimensions could be the channel dimension, the one of size 1 or 3 is used; if both
/// or neither have such a size, the last one.
fn layout(shape: &[usize]) -> Option<(usize, [usize; 3], bool)> {
    let usual = |channels: usize| channels == 1 || channels == 3;
    match *shape {
        [count, h, w] => Some((count, [1, h, w], false)),
        [count, c, h, w] if c <= 4 && (w > 4 || usual(c) && !usual(w)) => Some((count, [c, h, w], false)),
        [count, h, w, c] if c <= 4 => Some((count, [h, w, c], true)),
        _ => None,
    }
}

/// Converts values to pixels: integers from 0 to 255, and floats that are integers from 0 to 255, become bytes; floats from 0 to 1
/// are kept.
fn scaled(array: Npy, name: &str) -> Result<Values> {
    let Npy { values, dtype, .. } = array;
    let (low, high) = values.iter().fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
    let finite = values.iter().all(|v| v.is_finite());
    let float = dtype.starts_with('f');
    let bytes = |factor: f32| Values::Bytes(values.iter().map(|v| (v * factor) as u8).collect());
    match () {
        () if dtype == "b1" => Ok(bytes(255.0)),
        () if finite && float && low >= 0.0 && high <= 1.0 => Ok(Values::Floats(values)),
        () if finite && low >= 0.0 && high <= 255.0 && values.iter().all(|v| v.fract() == 0.0) => Ok(bytes(1.0)),
        () => bail!(
            "the values of \"{name}\" range from {low} to {high}; pixels must be integers from 0 to 255 or floats from 0 to 1"
        ),
    }
}

/// Moves the channels of each picture from last to first, in place.
fn channels_first<T: Copy>(values: &mut [T], area: usize, channels: usize) {
    if channels == 1 {
        return;
    }
    for picture in values.chunks_exact_mut(area * channels) {
        let old = picture.to_vec();
        for (channel, plane) in picture.chunks_exact_mut(area).enumerate() {
            plane.iter_mut().enumerate().for_each(|(i, value)| *value = old[i * channels + channel]);
        }
    }
}
