//! Data sets: labeled or unlabeled pictures in a fixed order.

use super::labels::Labels;
use super::part::split;
use super::picture::Picture;
use super::preprocess::Preprocess;
use super::stored::{StoredPictures, identify_file};
use crate::memory::reserve;
use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::{self, Debug, Formatter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Number of drawn pictures whose bytes identify a data set.
const DRAWN_TO_IDENTIFY: usize = 10;

/// A data set: pictures and their labels, in a fixed order.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The specification that the data set was opened with, such as `mnist:DIR`.
    pub name: String,
    /// Class names by index; empty if the classes have no names.
    pub classes: Vec<String>,
    /// Whether the classes are numbered alphabetically, so that their indices have no meaning outside this data set.
    pub alphabetical: bool,
    /// Whether the pictures are labeled; without labels, every label is 0.
    pub labelled: bool,
    items: Items,
}

#[derive(Clone, Debug)]
enum Items {
    /// Pictures of one size, stored as bytes in `(N, C, H, W)` order.
    Bytes { shape: [usize; 3], pixels: Vec<u8>, labels: Vec<usize> },
    /// Pictures of one size, drawn on demand as bytes in `(C, H, W)` order.
    Drawn { shape: [usize; 3], draw: Draw, labels: Vec<usize> },
    /// Picture files with their labels, read on demand.
    Files(Vec<(PathBuf, usize)>),
    /// Pictures inside larger files, with their labels, read on demand.
    Stored { pictures: Arc<dyn StoredPictures>, labels: Vec<usize> },
}

/// A function that draws the picture of an index into a buffer.
type DrawPicture = dyn Fn(usize, &mut [u8]) + Send + Sync;

/// A [`DrawPicture`] that can be copied and printed.
#[derive(Clone)]
struct Draw(Arc<DrawPicture>);

impl Debug for Draw {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Draw")
    }
}

impl Items {
    /// The bytes of picture `i`; none if the pictures are files.
    fn levels(&self, i: usize) -> Cow<'_, [u8]> {
        match self {
            Self::Bytes { shape, pixels, .. } => {
                let size: usize = shape.iter().product();
                pixels[i * size..(i + 1) * size].into()
            }
            Self::Drawn { shape, draw, .. } => {
                let mut bytes = vec![0; shape.iter().product()];
                (draw.0)(i, &mut bytes);
                bytes.into()
            }
            Self::Files(_) | Self::Stored { .. } => Cow::default(),
        }
    }
}

impl Dataset {
    /// A data set of pictures of one size, `shape` = `(C, H, W)`. `pixels` holds the bytes of all pictures, concatenated; `labels`
    /// holds one label per picture.
    ///
    /// Errors if there are no pictures or if the number of bytes does not match.
    pub fn of_bytes(
        name: &str,
        classes: Vec<String>,
        shape: [usize; 3],
        pixels: Vec<u8>,
        labels: Vec<usize>,
    ) -> Result<Self> {
        let size: usize = shape.iter().product();
        let count = labels.len();
        ensure!(count > 0 && size > 0, "\"{name}\" has no pictures");
        ensure!(
            pixels.len() == count * size,
            "\"{name}\": got {} bytes for {count} pictures of {size} bytes each",
            pixels.len()
        );
        Ok(Self {
            name: name.into(),
            classes,
            alphabetical: false,
            labelled: true,
            items: Items::Bytes { shape, pixels, labels },
        })
    }

    /// A data set of pictures of one size, `shape` = `(C, H, W)`, that are drawn on demand: `draw(i, bytes)` draws picture `i`, always
    /// the same. `labels` holds one label per picture.
    ///
    /// Errors if there are no pictures.
    pub fn drawn(
        name: &str,
        classes: Vec<String>,
        shape: [usize; 3],
        draw: impl Fn(usize, &mut [u8]) + Send + Sync + 'static,
        labels: Vec<usize>,
    ) -> Result<Self> {
        ensure!(!labels.is_empty(), "\"{name}\" has no pictures");
        let items = Items::Drawn { shape, draw: Draw(Arc::new(draw)), labels };
        Ok(Self { name: name.into(), classes, alphabetical: false, labelled: true, items })
    }

    /// A data set of picture files, each with a label. `classes` must be in alphabetical order.
    ///
    /// Errors if `files` is empty.
    pub fn of_files(name: &str, classes: Vec<String>, files: Vec<(PathBuf, usize)>) -> Result<Self> {
        ensure!(!files.is_empty(), "\"{name}\" has no pictures");
        let alphabetical = !classes.is_empty();
        Ok(Self { name: name.into(), classes, alphabetical, labelled: true, items: Items::Files(files) })
    }

    /// A data set of picture files without labels.
    ///
    /// Errors if `files` is empty.
    pub fn without_labels(name: &str, files: Vec<PathBuf>) -> Result<Self> {
        let files = files.into_iter().map(|file| (file, 0)).collect();
        Ok(Self { labelled: false, ..Self::of_files(name, Vec::new(), files)? })
    }

    /// A data set of picture files with their labels.
    ///
    /// Errors if `files` is empty, or if the number of labels differs from the number of files.
    pub fn of_labelled_files(name: &str, files: Vec<PathBuf>, labels: Labels) -> Result<Self> {
        let count = files.len();
        ensure!(count > 0, "\"{name}\" has no pictures");
        let (labelled, of) = checked(name, count, labels.of)?;
        let items = Items::Files(files.into_iter().zip(of).collect());
        Ok(Self { name: name.into(), classes: labels.classes, alphabetical: labels.alphabetical, labelled, items })
    }

    /// A data set of pictures inside larger files.
    ///
    /// Errors if there are no pictures, or if the number of labels differs from the number of pictures.
    pub fn of_stored(name: &str, pictures: Arc<dyn StoredPictures>, labels: Labels) -> Result<Self> {
        let count = pictures.count();
        ensure!(count > 0, "\"{name}\" has no pictures");
        let (labelled, of) = checked(name, count, labels.of)?;
        let items = Items::Stored { pictures, labels: of };
        Ok(Self { name: name.into(), classes: labels.classes, alphabetical: labels.alphabetical, labelled, items })
    }

    /// Number of pictures, at least 1.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        match &self.items {
            Items::Bytes { labels, .. } | Items::Drawn { labels, .. } | Items::Stored { labels, .. } => labels.len(),
            Items::Files(files) => files.len(),
        }
    }

    /// The label of picture `i`, which is the index of its class; 0 if the data set has no labels.
    pub fn label(&self, i: usize) -> usize {
        match &self.items {
            Items::Bytes { labels, .. } | Items::Drawn { labels, .. } | Items::Stored { labels, .. } => labels[i],
            Items::Files(files) => files[i].1,
        }
    }

    /// Number of classes: the number of class names, or the largest label plus 1, whichever is larger.
    pub fn class_count(&self) -> usize {
        let labels = (0..self.len()).map(|i| self.label(i) + 1).max().unwrap_or(0);
        labels.max(self.classes.len())
    }

    /// A data set of the first `count` pictures with their labels, or of all pictures if there are fewer.
    ///
    /// Errors if `count` is 0.
    pub fn first(&self, count: usize) -> Result<Self> {
        let labelled = self.relabelled((0..count.min(self.len())).map(|i| self.label(i)).collect())?;
        let (classes, alphabetical) = (self.classes.clone(), self.alphabetical);
        Ok(Self { classes, alphabetical, labelled: self.labelled, ..labelled })
    }

    /// A data set of the first `labels.len()` pictures with other labels, for example the class indices of a network.
    ///
    /// Errors if there are more labels than pictures, or no labels.
    pub fn relabelled(&self, labels: Vec<usize>) -> Result<Self> {
        let count = labels.len();
        ensure!(
            (1..=self.len()).contains(&count),
            "got {count} labels for {} pictures of \"{}\"",
            self.len(),
            self.name
        );
        let items = match &self.items {
            Items::Bytes { shape, pixels, .. } => {
                let size: usize = shape.iter().product();
                Items::Bytes { shape: *shape, pixels: pixels[..count * size].to_vec(), labels }
            }
            Items::Drawn { shape, draw, .. } => Items::Drawn { shape: *shape, draw: draw.clone(), labels },
            Items::Files(files) => Items::Files(files.iter().map(|(path, _)| path.clone()).zip(labels).collect()),
            Items::Stored { pictures, .. } => Items::Stored { pictures: pictures.clone(), labels },
        };
        Ok(Self { name: self.name.clone(), classes: vec![], alphabetical: false, labelled: true, items })
    }

    /// The file of picture `i` relative to the data set's folder, such as `cat/a.png`, or its location in an archive; `None` if the
    /// pictures have no names.
    pub fn file(&self, i: usize) -> Option<String> {
        match &self.items {
            Items::Bytes { .. } | Items::Drawn { .. } => None,
            Items::Stored { pictures, labels } => pictures.name(i).filter(|_| i < labels.len()),
            Items::Files(files) => {
                let path = &files.get(i)?.0;
                let place = split(self.name.split_once(':').map_or("", |(_, place)| place)).0;
                let folder = if place.is_file() { place.parent().unwrap_or(place) } else { place };
                Some(path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned())
            }
        }
    }

    /// A hash that identifies the pictures: SHA-256 of their bytes, of the first ones if they are drawn, or of the paths, sizes and
    /// modification times of their files.
    ///
    /// Errors if a file cannot be accessed.
    pub fn fingerprint(&self) -> Result<Vec<u8>> {
        let mut hash = Sha256::new();
        match &self.items {
            Items::Bytes { shape, pixels, .. } => {
                hash.update(format!("{shape:?}"));
                hash.update(pixels);
            }
            Items::Drawn { shape, labels, .. } => {
                hash.update(format!("{shape:?}{}", labels.len()));
                (0..labels.len().min(DRAWN_TO_IDENTIFY)).for_each(|i| hash.update(self.items.levels(i)));
            }
            Items::Files(files) => {
                for (path, _) in files {
                    identify_file(path, &mut hash)?;
                }
            }
            Items::Stored { pictures, labels } => {
                hash.update(format!("{};", labels.len()));
                pictures.identify(&mut hash)?;
            }
        }
        Ok(hash.finalize().to_vec())
    }

    /// The path of picture `i`; `None` if the index is out of range or the pictures are not separate files.
    pub fn path(&self, i: usize) -> Option<&Path> {
        match &self.items {
            Items::Files(files) => files.get(i).map(|(path, _)| path.as_path()),
            Items::Bytes { .. } | Items::Drawn { .. } | Items::Stored { .. } => None,
        }
    }

    /// Reads picture `i`.
    ///
    /// Errors if the index is out of range or the file cannot be read as a picture.
    pub fn picture(&self, i: usize) -> Result<Picture> {
        let count = self.len();
        ensure!(i < count, "no picture {i} in \"{}\"; indices range from 0 to {}", self.name, count - 1);
        match &self.items {
            Items::Files(files) => Picture::open(&files[i].0),
            Items::Stored { pictures, .. } => pictures.picture(i),
            Items::Bytes { shape, .. } | Items::Drawn { shape, .. } => {
                let values: Vec<f32> = self.items.levels(i).iter().map(|&b| f32::from(b) / 255.0).collect();
                Ok(Picture::Values(Tensor::from_vec(values, &shape[..], &Device::Cpu)?))
            }
        }
    }

    /// The preprocessed pictures with the indices `numbers`: an `(N, C, H, W)` f32 tensor in `[0, 1]` on the CPU.
    ///
    /// Errors if a picture cannot be read or preprocessed.
    pub fn batch(&self, numbers: &[usize], preprocess: &Preprocess) -> Result<Tensor> {
        if let Items::Bytes { shape, .. } | Items::Drawn { shape, .. } = &self.items
            && *shape == preprocess.input
            && !numbers.is_empty()
            && numbers.iter().all(|&i| i < self.len())
        {
            return of_levels(numbers, *shape, &self.items);
        }
        let one = |&i: &usize| {
            let picture = self.picture(i)?;
            preprocess.apply(&picture, false).with_context(|| format!("preparing picture {i} of \"{}\"", self.name))
        };
        let pictures = numbers.iter().map(one).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&pictures, 0)?)
    }
}

/// The pictures with the indices `numbers`, which already have the model's input size, `shape`.
fn of_levels(numbers: &[usize], shape: [usize; 3], items: &Items) -> Result<Tensor> {
    let size: usize = shape.iter().product();
    let count = numbers.len() * size;
    reserve(count * size_of::<f32>(), || format!("a batch of {} pictures", numbers.len()))?;
    let mut values = vec![0f32; count];
    let pictures = values.par_chunks_exact_mut(size.max(1)).zip(numbers);
    pictures.for_each(|(to, &i)| {
        to.iter_mut().zip(items.levels(i).iter()).for_each(|(to, &level)| *to = f32::from(level) / 255.0);
    });
    let [channels, height, width] = shape;
    Ok(Tensor::from_vec(values, (numbers.len(), channels, height, width), &Device::Cpu)?)
}

/// Whether a data set is labeled, and the label of each picture; 0 for every picture of an unlabeled data set.
fn checked(name: &str, count: usize, labels: Option<Vec<usize>>) -> Result<(bool, Vec<usize>)> {
    let labelled = labels.is_some();
    let of = labels.unwrap_or_else(|| vec![0; count]);
    ensure!(of.len() == count, "\"{name}\" has {count} pictures and {} labels", of.len());
    Ok((labelled, of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Interpolation;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_batch_of_pictures_of_the_models_size_holds_what_each_gives_alone() {
        let pixels = (0..5 * 3 * 4 * 2).map(|i: usize| (i * 37 % 256) as u8).collect();
        let set = Dataset::of_bytes("levels", vec![], [3, 4, 2], pixels, vec![0; 5]).unwrap();
        let preprocess = Preprocess { input: [3, 4, 2], resize: None, interpolation: Interpolation::default() };
        let numbers = [4, 0, 2, 2];
        let batch = set.batch(&numbers, &preprocess).unwrap();
        assert_eq!(batch.dims(), [4, 3, 4, 2]);
        let values = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let alone = numbers.map(|i| values(preprocess.apply(&set.picture(i).unwrap(), false).unwrap()));
        assert_eq!(values(batch), alone.concat());
        assert!(set.batch(&[5], &preprocess).is_err());
    }

    #[test]
    fn pictures_are_drawn_when_they_are_asked_for() {
        let drawn = Arc::new(AtomicUsize::new(0));
        let counted = drawn.clone();
        let draw = move |i: usize, bytes: &mut [u8]| {
            counted.fetch_add(1, Ordering::Relaxed);
            bytes.fill(51 * i as u8);
        };
        let set = Dataset::drawn("levels", vec![], [1, 2, 2], draw, vec![0, 1, 0, 1, 0]).unwrap();
        assert_eq!((set.len(), set.label(3), drawn.load(Ordering::Relaxed)), (5, 1, 0));
        let preprocess = Preprocess { input: [1, 2, 2], resize: None, interpolation: Interpolation::default() };
        let batch = set.batch(&[5 - 1, 1], &preprocess).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!((batch[0], batch[7], drawn.load(Ordering::Relaxed)), (0.8, 0.2, 2));
        let first = set.first(2).unwrap();
        assert_eq!((first.len(), set.picture(1).unwrap().shape().unwrap()), (2, [1, 2, 2]));
        assert_ne!(first.fingerprint().unwrap(), set.fingerprint().unwrap());
        assert!(set.picture(5).is_err() && Dataset::drawn("none", vec![], [1, 2, 2], |_, _| (), vec![]).is_err());
    }
}
