//! Parses specifications of data sets and pictures, such as `mnist:DIR`, `DIR` or `photo.png`, and opens them.

use super::formats::{cifar, folder, list, mnist, npz, parquet, webdataset};
use super::part::split;
use super::{Dataset, Picture, synthetic};
use crate::words;
use anyhow::{Context, Result, bail};
use std::path::Path;

/// A data set format, such as `mnist:DIR`.
struct Scheme {
    /// The name before the colon.
    name: &'static str,
    /// Syntax shown in error messages.
    usage: &'static str,
    open: fn(&str) -> Result<Dataset>,
    /// Whether a path looks like this format, for specifications without a scheme.
    fits: fn(&Path) -> bool,
    /// Whether a path in this format has a training split and at least one other.
    has_training: fn(&Path) -> bool,
}

/// All formats; if a path looks like several of them, the first one is used.
const SCHEMES: [Scheme; 9] = [
    Scheme { name: "mnist", usage: "mnist:DIR", open: mnist::open, fits: mnist::fits, has_training: |_| true },
    Scheme {
        name: "cifar10",
        usage: "cifar10:FILE",
        open: cifar::open,
        fits: cifar::fits,
        has_training: cifar::has_training,
    },
    Scheme {
        name: "cifar100",
        usage: "cifar100:DIR",
        open: cifar::open_hundred,
        fits: cifar::fits_hundred,
        has_training: cifar::has_training_hundred,
    },
    Scheme { name: "npz", usage: "npz:FILE", open: npz::open, fits: npz::fits, has_training: npz::has_training },
    Scheme {
        name: "webdataset",
        usage: "webdataset:TARS",
        open: webdataset::open,
        fits: webdataset::fits,
        has_training: webdataset::has_training,
    },
    Scheme {
        name: "parquet",
        usage: "parquet:PATH",
        open: parquet::open,
        fits: parquet::fits,
        has_training: parquet::has_training,
    },
    Scheme { name: "csv", usage: "csv:FILE", open: list::open, fits: list::fits, has_training: |_| false },
    Scheme {
        name: "folder",
        usage: "folder:DIR",
        open: folder::open,
        fits: folder::fits,
        has_training: folder::has_training,
    },
    Scheme { name: "made", usage: "made:NAME", open: synthetic::open, fits: |_| false, has_training: |_| true },
];

/// The built-in picture for a network with `channels` input channels.
pub fn own(channels: usize) -> &'static str {
    if channels == 1 { "made:digits[0]" } else { "made:welcome[0]" }
}

/// Opens a data set: `folder:DIR`, `npz:FILE` and so on, or just a path, whose format is detected. The suffixes `#train`, `#val`
/// and `#test` select a split.
///
/// Errors if the format is unknown or the data set cannot be read.
pub fn open(spec: &str) -> Result<Dataset> {
    let Some((scheme, place)) = scheme(spec) else { bail!("no data set \"{spec}\"; {}", unknown(spec)) };
    if place.is_empty() {
        bail!("\"{spec}\" does not name a data set; use {}", scheme.usage);
    }
    (scheme.open)(place).with_context(|| format!("opening the data set \"{}:{place}\"", scheme.name))
}

/// Name of the format that a file or folder seems to have, such as `npz`; `None` if it is not a data set. Every folder counts as one.
pub fn looks_like(path: &Path) -> Option<&'static str> {
    SCHEMES.iter().find(|scheme| (scheme.fits)(path)).map(|scheme| scheme.name)
}

/// The specification of the training set: appends `#train` for data sets that have a training set, unless `spec` already selects a
/// split.
pub fn to_learn_from(spec: &str) -> String {
    let Some((scheme, place)) = scheme(spec) else { return spec.into() };
    let parted = split(place).1.is_none() && (scheme.has_training)(Path::new(place));
    if parted { format!("{spec}#train") } else { spec.into() }
}

/// The specification of the matching test set, for data sets that have a training and a test set; `None` for others.
pub fn to_test_with(spec: &str) -> Option<String> {
    to_learn_from(spec).strip_suffix("#train").map(String::from)
}

/// Opens one picture and returns it with its name. `text` is a file or a picture of a data set, such as `cifar10:FILE[7]`
/// (zero-based).
///
/// Errors under the same conditions as [`open`] and [`Picture::open`], and if the index is missing or out of range.
pub fn picture(text: &str) -> Result<(String, Picture)> {
    let path = Path::new(text);
    if let Some((spec, number)) = numbered(text) {
        return Ok((text.into(), open(spec)?.picture(number)?));
    }
    let set = !path.is_file() && scheme(text.split('[').next().unwrap_or(text)).is_some();
    if set {
        let what =
            if path.is_dir() { "is a folder, not a single picture" } else { "is a data set, not a single picture" };
        bail!("\"{text}\" {what}; append an index, as in {}[0]", text.split('[').next().unwrap_or(text));
    }
    let name = path.file_name().map_or(text.into(), |name| name.to_string_lossy().into_owned());
    Ok((name, Picture::open(path)?))
}

/// The path of a picture given as `folder:DIR[7]` or `csv:FILE[7]`, relative to the folder; `None` for any other specification.
pub fn file(text: &str) -> Option<String> {
    let (spec, number) = numbered(text)?;
    let (scheme, _) = scheme(spec)?;
    ["folder", "csv"].contains(&scheme.name).then(|| open(spec).ok()?.file(number))?
}

/// A short name of a picture: of its file if it has one, such as `cat.png` for `folder:pets[7]`, otherwise `picture 7 of cifar10`. Other
/// names stay as they are, such as `made:digits[7]`.
pub fn title(text: &str) -> String {
    let last = |file: String| file.rsplit(['/', '\\']).next().unwrap_or(&file).to_owned();
    let numbered = || {
        let (spec, number) = numbered(text)?;
        let (scheme, _) = scheme(spec).filter(|(scheme, _)| scheme.name != "made")?;
        Some(format!("picture {number} of {}", scheme.name))
    };
    file(text).map(last).or_else(numbered).unwrap_or_else(|| text.to_owned())
}

/// Splits a picture specification such as `cifar10:FILE[7]` into data set and index; `None` for a file.
pub fn numbered(text: &str) -> Option<(&str, usize)> {
    let (spec, number) = text.strip_suffix(']')?.rsplit_once('[')?;
    let number = number.trim().parse().ok()?;
    let file = Path::new(text).exists() || scheme(spec).is_none();
    Some((spec, number)).filter(|_| !file)
}

/// Splits a specification into its scheme and the text after the colon; detects the scheme of a bare path.
fn scheme(text: &str) -> Option<(&'static Scheme, &str)> {
    let named = text.split_once(':').and_then(|(name, place)| Some((SCHEMES.iter().find(|s| s.name == name)?, place)));
    let path = split(text).0;
    named.or_else(|| Some((SCHEMES.iter().find(|scheme| (scheme.fits)(path))?, text)))
}

/// The end of the error message for an unknown specification: what was found and what is expected.
fn unknown(spec: &str) -> String {
    let expected = format!("use one of {}, or just a path", SCHEMES.map(|scheme| scheme.usage).join(", "));
    let path = split(spec).0;
    match path.is_file() {
        true => format!("the file \"{}\" is not in a known data set format; {expected}", words::path(path)),
        false => expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", open(text).unwrap_err())
    }

    #[test]
    fn unknown_data_sets_name_the_known_kinds() {
        assert_eq!(
            error("coco:here"),
            "no data set \"coco:here\"; use one of mnist:DIR, cifar10:FILE, cifar100:DIR, npz:FILE, webdataset:TARS, \
             parquet:PATH, csv:FILE, folder:DIR, made:NAME, or just a path"
        );
        assert!(error("mnist:").contains("use mnist:DIR"));
        assert!(error("made:cats").contains("digits, shapes"));
    }

    #[test]
    fn a_picture_without_a_file_is_named_by_its_number() {
        let names = ["cifar10:data/test_batch.bin[15]", "mnist:data[3]", "made:digits[7]", "photos/cat.png"];
        assert_eq!(
            names.map(title),
            ["picture 15 of cifar10", "picture 3 of mnist", "made:digits[7]", "photos/cat.png"]
        );
    }

    #[test]
    fn a_path_alone_is_a_data_set_of_the_kind_that_it_looks_like() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert!(error(path).contains(&format!("opening the data set \"folder:{path}\": no pictures in the folder")));
        image::GrayImage::new(3, 2).save(folder.path().join("a.png")).unwrap();
        assert_eq!(open(path).unwrap().name, format!("folder:{path}"));
        assert_eq!(picture(&format!("{path}[0]")).unwrap().1.shape().unwrap(), [1, 2, 3]);
        assert_eq!(file(&format!("{path}[0]")).as_deref(), Some("a.png"));
        assert_eq!([format!("{path}[0]"), format!("folder:{path}[0]")].map(|name| title(&name)), ["a.png"; 2]);
        assert!(format!("{:#}", picture(path).unwrap_err()).contains(&format!("as in {path}[0]")));
        std::fs::write(folder.path().join("b.dat"), "x").unwrap();
        assert!(error(&format!("{path}/b.dat")).contains("is not in a known data set format; use one of mnist:DIR"));
    }

    #[test]
    fn a_picture_is_a_file_or_a_number_in_a_data_set() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cat[1].png");
        image::GrayImage::new(3, 2).save(&file).unwrap();
        let (name, found) = picture(file.to_str().unwrap()).unwrap();
        assert_eq!((&name[..], found.shape().unwrap()), ("cat[1].png", [1, 2, 3]));
        let spec = format!("folder:{}[0]", folder.path().display());
        let (name, found) = picture(&spec).unwrap();
        assert_eq!((name, found.shape().unwrap()), (spec, [1, 2, 3]));
    }

    #[test]
    fn the_index_of_a_picture_is_required_and_checked() {
        let error = |text: &str| format!("{:#}", picture(text).unwrap_err());
        assert!(error("made:welcome").contains("as in made:welcome[0]"), "{}", error("made:welcome"));
        assert!(error("made:welcome[-1]").contains("as in made:welcome[0]"));
        assert!(error("made:welcome[9999]").contains("no picture 9999"));
        assert!(error("absent.png").contains("opening \"absent.png\""));
    }
}
