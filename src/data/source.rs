//! Parses specifications of data sets and pictures, such as `mnist:DIR` or `photo.png`, and opens them.

use super::formats::{cifar, folder, mnist};
use super::{Dataset, Picture, synthetic};
use anyhow::{Context, Result, bail};
use std::path::Path;

/// A kind of data set, such as `mnist:DIR`.
struct Scheme {
    /// The name before the colon.
    name: &'static str,
    /// Syntax shown in error messages.
    usage: &'static str,
    open: fn(&str) -> Result<Dataset>,
}

const SCHEMES: [Scheme; 4] = [
    Scheme { name: "mnist", usage: "mnist:DIR", open: mnist::open },
    Scheme { name: "cifar10", usage: "cifar10:FILE", open: cifar::open },
    Scheme { name: "folder", usage: "folder:DIR", open: folder::open },
    Scheme { name: "made", usage: "made:NAME", open: synthetic::open },
];

/// The built-in picture for a network with `channels` input channels.
pub fn own(channels: usize) -> &'static str {
    if channels == 1 { "made:digits[0]" } else { "made:welcome[0]" }
}

/// Opens a data set: `mnist:DIR`, `cifar10:FILE`, `folder:DIR` or `made:NAME`. For all but `folder`, the suffix `#train`
/// selects the training set.
///
/// Errors if the kind is unknown or the data set cannot be read. The message lists the known kinds or the names of the files
/// looked for.
pub fn open(spec: &str) -> Result<Dataset> {
    let Some((scheme, rest)) = scheme(spec) else {
        let folder = if Path::new(spec).is_dir() {
            format!("; for a folder of pictures, use folder:{spec}")
        } else {
            String::new()
        };
        bail!("unknown data set \"{spec}\"; use one of {}{folder}", usages());
    };
    if rest.is_empty() {
        bail!("\"{spec}\" does not name a data set; use {}", scheme.usage);
    }
    (scheme.open)(rest).with_context(|| format!("opening the data set \"{spec}\""))
}

/// The specification of the training set: appends `#train` for data sets that have a training set, unless `spec` already names a
/// split.
pub fn to_learn_from(spec: &str) -> String {
    let parted = ["mnist:", "made:"].iter().any(|scheme| spec.starts_with(scheme));
    if parted && !spec.contains('#') { format!("{spec}#train") } else { spec.into() }
}

/// The specification of the matching test set, for data sets that have a training and a test set; `None` for others.
pub fn to_test_with(spec: &str) -> Option<String> {
    to_learn_from(spec).strip_suffix("#train").map(String::from)
}

/// Opens one picture and returns it with its name. `text` is a file or a picture of a data set, such as `cifar10:FILE[7]`
/// (the index counts from 0).
///
/// Errors as for [`open`] and [`Picture::open`], and if the index is missing or out of range.
pub fn picture(text: &str) -> Result<(String, Picture)> {
    let path = Path::new(text);
    if path.exists() || scheme(text).is_none() {
        let name = path.file_name().map_or(text.into(), |name| name.to_string_lossy().into_owned());
        return Ok((name, Picture::open(path)?));
    }
    let Some((spec, number)) = numbered(text) else {
        bail!(
            "\"{text}\" does not name a single picture; append an index, as in {}[0]",
            text.split('[').next().unwrap_or(text)
        );
    };
    Ok((text.into(), open(spec)?.picture(number)?))
}

/// The file of a picture given as `folder:DIR[7]`, relative to the folder; `None` for any other specification.
pub fn file(text: &str) -> Option<String> {
    let (spec, number) = numbered(text).filter(|(spec, _)| spec.starts_with("folder:"))?;
    open(spec).ok()?.file(number)
}

/// Splits a picture specification such as `cifar10:FILE[7]` into data set and index; `None` for a file.
pub fn numbered(text: &str) -> Option<(&str, usize)> {
    let (spec, number) = text.strip_suffix(']')?.rsplit_once('[')?;
    let file = Path::new(text).exists() || scheme(text).is_none();
    Some((spec, number.trim().parse().ok()?)).filter(|_| !file)
}

/// Splits a specification into its scheme and the part after the colon.
fn scheme(text: &str) -> Option<(&'static Scheme, &str)> {
    let (name, rest) = text.split_once(':')?;
    Some((SCHEMES.iter().find(|scheme| scheme.name == name)?, rest))
}

fn usages() -> String {
    SCHEMES.map(|scheme| scheme.usage).join(", ")
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
            "unknown data set \"coco:here\"; use one of mnist:DIR, cifar10:FILE, folder:DIR, made:NAME"
        );
        assert!(error("mnist:").contains("use mnist:DIR"));
        assert!(error("made:cats").contains("digits, shapes"));
    }

    #[test]
    fn the_error_for_a_bare_folder_suggests_its_specification() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert!(error(path).contains(&format!("use folder:{path}")));
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
