//! Where pictures come from: what a user writes, as `mnist:DIR` or `photo.png`, and the data set or picture it means.

use super::formats::{cifar, folder, mnist};
use super::{Dataset, Picture, synthetic};
use anyhow::{Context, Result, bail};
use std::path::Path;

/// A kind of data set.
struct Scheme {
    /// What stands before the colon.
    name: &'static str,
    /// How it is written.
    usage: &'static str,
    open: fn(&str) -> Result<Dataset>,
}

const SCHEMES: [Scheme; 4] = [
    Scheme { name: "mnist", usage: "mnist:DIR", open: mnist::open },
    Scheme { name: "cifar10", usage: "cifar10:FILE", open: cifar::open },
    Scheme { name: "folder", usage: "folder:DIR", open: folder::open },
    Scheme { name: "made", usage: "made:NAME", open: synthetic::open },
];

/// The program's own picture for a network that reads so many channels.
pub fn own(channels: usize) -> &'static str {
    if channels == 1 { "made:digits[0]" } else { "made:welcome[0]" }
}

/// Opens a data set: `mnist:DIR`, `cifar10:FILE`, `folder:DIR` or `made:NAME`; `#train` behind the first two and the
/// last gives the pictures to learn from.
///
/// Errors say what would have worked: the known kinds, the names of the files looked for.
pub fn open(spec: &str) -> Result<Dataset> {
    let Some((scheme, rest)) = scheme(spec) else {
        let folder = if Path::new(spec).is_dir() {
            format!("; for a folder of pictures write folder:{spec}")
        } else {
            String::new()
        };
        bail!("no data set \"{spec}\"; known are {}{folder}", usages());
    };
    if rest.is_empty() {
        bail!("\"{spec}\" names no data set; write {}", scheme.usage);
    }
    (scheme.open)(rest).with_context(|| format!("opening the data set \"{spec}\""))
}

/// What a network is trained on: of a set with a part to learn from that part, unless one is named.
pub fn to_learn_from(spec: &str) -> String {
    let parted = ["mnist:", "made:"].iter().any(|scheme| spec.starts_with(scheme));
    if parted && !spec.contains('#') { format!("{spec}#train") } else { spec.into() }
}

/// What it is tested with: the other part of a set with two.
pub fn to_test_with(spec: &str) -> Option<String> {
    to_learn_from(spec).strip_suffix("#train").map(String::from)
}

/// Opens one picture, with its name: a file, or one of a data set as `cifar10:FILE[7]`, counted from 0.
///
/// Errors: as for [`open`] and [`Picture::open`]; no such number.
pub fn picture(text: &str) -> Result<(String, Picture)> {
    let path = Path::new(text);
    if path.exists() || scheme(text).is_none() {
        let name = path.file_name().map_or(text.into(), |name| name.to_string_lossy().into_owned());
        return Ok((name, Picture::open(path)?));
    }
    let Some((spec, number)) = numbered(text) else {
        bail!(
            "\"{text}\" does not name one picture; write its number behind, as in {}[0]",
            text.split('[').next().unwrap_or(text)
        );
    };
    Ok((text.into(), open(spec)?.picture(number)?))
}

/// The file of a picture that is named by its number in a folder, as the folder has it; none for any other.
pub fn file(text: &str) -> Option<String> {
    let (spec, number) = numbered(text).filter(|(spec, _)| spec.starts_with("folder:"))?;
    open(spec).ok()?.file(number)
}

/// The data set and the number of what names one of its pictures; none for a file.
pub fn numbered(text: &str) -> Option<(&str, usize)> {
    let (spec, number) = text.strip_suffix(']')?.rsplit_once('[')?;
    let file = Path::new(text).exists() || scheme(text).is_none();
    Some((spec, number.trim().parse().ok()?)).filter(|_| !file)
}

/// The kind of data set that a text names, and what stands behind the colon.
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
            "no data set \"coco:here\"; known are mnist:DIR, cifar10:FILE, folder:DIR, made:NAME"
        );
        assert!(error("mnist:").contains("write mnist:DIR"));
        assert!(error("made:cats").contains("digits, shapes"));
    }

    #[test]
    fn a_bare_folder_is_told_how_to_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert!(error(path).contains(&format!("write folder:{path}")));
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
    fn numbers_of_pictures_are_asked_for_and_checked() {
        let error = |text: &str| format!("{:#}", picture(text).unwrap_err());
        assert!(error("made:welcome").contains("as in made:welcome[0]"), "{}", error("made:welcome"));
        assert!(error("made:welcome[-1]").contains("as in made:welcome[0]"));
        assert!(error("made:welcome[9999]").contains("no picture 9999"));
        assert!(error("absent.png").contains("opening \"absent.png\""));
    }
}
