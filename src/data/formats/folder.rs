//! Data sets in folders of picture files.

use super::list::{self, Unclear};
use crate::data::part::{self, choose, split};
use crate::data::{Dataset, Labels, Split, notes, wordnet_id};
use crate::words;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// File name extensions of pictures, in lower case.
pub const ENDINGS: [&str; 7] = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "npy"];

/// Maximum depth of nested folders within a class.
const DEPTH: usize = 6;

/// Names of a folder between a class or split and its pictures, as in Tiny ImageNet's `val/images/`.
const HOLDERS: [&str; 3] = ["images", "imgs", "pictures"];

/// Opens the pictures in a folder, ordered by path.
///
/// If the subfolders are splits (`train`, `val`, `test`), the suffix selects one. The default is the test split, or the validation
/// split if the test split is missing or has no labels.
///
/// Each subfolder is a class, as in torchvision's `ImageFolder`: class 0 is the first in alphabetical order. Pictures in nested
/// folders belong to the same class, unless a folder in their path is named after a WordNet ID. If all subfolder names are numbers,
/// they are the class indices: `243/` is class 243. Without class folders, the classes come from a list in the folder (see
/// `list::find`). Without a list, the pictures have no labels.
///
/// Files whose extension is not that of a picture are ignored, and so are files and folders whose names begin with a dot. Errors if
/// there are no pictures, if only some of the subfolders contain pictures, or if a listed picture is missing.
pub fn open(text: &str) -> Result<Dataset> {
    let (folder, wanted) = split(text);
    let (files, labels) = match (splits(folder)?, wanted) {
        (parts, Some(_)) if !parts.is_empty() => read(&choose(parts, wanted, |part| part.1)?[0].0, wanted)?,
        (parts, None) if !parts.is_empty() => by_default(parts)?,
        (_, Some(wanted)) if !list::has_split(folder, wanted) => {
            bail!(
                "the folder has no split {}; folders with splits have subfolders such as train and test",
                wanted.suffix()
            )
        }
        _ => read(folder, wanted)?,
    };
    Dataset::of_labelled_files(&format!("folder:{text}"), files, labels)
}

/// Whether a path is a folder.
pub fn fits(path: &Path) -> bool {
    path.is_dir()
}

/// Whether a folder has a training split and at least one other.
pub fn has_training(folder: &Path) -> bool {
    splits(folder).is_ok_and(|parts| part::has_training(&parts, |part| part.1)) || list::has_split(folder, Split::Train)
}

/// The entries of a folder, ordered by name, without those whose name begins with a dot.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || format!("reading the folder \"{}\"", words::path(&folder));
    let found = folder.read_dir().with_context(read)?;
    let mut paths = found.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>().with_context(read)?;
    paths.retain(|path| !word(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

/// All pictures in a folder and its subfolders. Links to folders are not followed.
pub(super) fn all_pictures(folder: &Path, depth: usize) -> Result<Vec<PathBuf>> {
    let (folders, files): (Vec<_>, Vec<_>) = entries(folder)?.into_iter().partition(|path| path.is_dir());
    let mut found = pictures(files);
    for inner in folders.iter().filter(|inner| depth > 0 && !inner.is_symlink()) {
        found.extend(all_pictures(inner, depth - 1)?);
    }
    Ok(found)
}

/// Whether a file name has the extension of a picture.
pub fn is_picture(name: &Path) -> bool {
    let ending = name.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    ENDINGS.contains(&&ending[..])
}

/// The last component of a path, as a string.
pub(super) fn word(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The subfolders that are splits; empty unless all subfolders are. A single subfolder such as `train/` counts as a split only if it
/// contains folders, because otherwise it may be a class.
fn splits(folder: &Path) -> Result<Vec<(PathBuf, Option<Split>)>> {
    let folders: Vec<_> = entries(folder)?.into_iter().filter(|path| path.is_dir()).collect();
    let named: Vec<_> = folders.into_iter().map(|path| (Split::of_name(&word(&path)), path)).collect();
    let whole_word =
        |(split, path): &(Option<Split>, PathBuf)| split.is_some() && word(path).chars().all(char::is_alphabetic);
    let deep = || named.iter().any(|(_, path)| entries(path).is_ok_and(|inner| inner.iter().any(|path| path.is_dir())));
    let are_splits = !named.is_empty() && named.iter().all(whole_word) && (named.len() > 1 || deep());
    Ok(if are_splits { named.into_iter().map(|(split, path)| (path, split)).collect() } else { Vec::new() })
}

/// The pictures and labels of the default split: the test split, or the validation split if the test split is missing or unlabeled.
fn by_default(parts: Vec<(PathBuf, Option<Split>)>) -> Result<(Vec<PathBuf>, Labels)> {
    let first = &choose(parts.clone(), None, |part| part.1)?[0].0;
    let first_read = read(first, None);
    let other = parts.iter().find(|part| part.1 == Some(Split::Validation)).filter(|part| part.0 != *first);
    match other {
        Some((other, _)) if !first_read.as_ref().is_ok_and(|(_, labels)| labels.of.is_some()) => read(other, None),
        _ => first_read,
    }
}

/// The pictures and labels of a folder that is not divided into splits.
fn read(folder: &Path, wanted: Option<Split>) -> Result<(Vec<PathBuf>, Labels)> {
    let (mut folders, files): (Vec<_>, Vec<_>) = entries(folder)?.into_iter().partition(|path| path.is_dir());
    let flat = pictures(files);
    if let Some(list) = list::known(folder, &flat, wanted) {
        return list::read(&list, folder);
    }
    let holder = folders.len() == 1 && flat.is_empty() && HOLDERS.contains(&&word(&folders[0])[..]);
    if holder && matches!(list::find(folder, wanted), Ok(None)) {
        return read(&folders.remove(0), wanted);
    }
    let classes = folders.iter().map(|inner| Ok((inner, all_pictures(inner, DEPTH)?))).collect::<Result<Vec<_>>>()?;
    let full = classes.iter().filter(|(_, files)| !files.is_empty()).count();
    let listed = || list::find(folder, wanted)?.map(|list| list::read(&list, folder)).transpose();
    let listed = match if full <= 1 { listed() } else { Ok(None) } {
        Err(error) if error.is::<Unclear>() => {
            notes::add(format!("found no list of classes in \"{}\": {error:#}", words::path(folder)));
            None
        }
        listed => listed?,
    };
    match listed {
        Some(listed) => Ok(listed),
        None if full > 0 => by_folder(folder, &classes),
        None if flat.is_empty() => {
            bail!("no pictures in the folder or its subfolders; supported extensions: {}", ENDINGS.join(", "))
        }
        None => Ok((flat, Labels::default())),
    }
}

fn pictures(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.retain(|path| is_picture(path) && path.is_file());
    paths
}

fn by_folder(root: &Path, classes: &[(&PathBuf, Vec<PathBuf>)]) -> Result<(Vec<PathBuf>, Labels)> {
    if let Some((empty, _)) = classes.iter().find(|(_, files)| files.is_empty()) {
        bail!("\"{}\" has no pictures, but every subfolder counts as a class; move it elsewhere", words::path(&empty));
    }
    let of = |(folder, files): &(&PathBuf, Vec<PathBuf>)| {
        let class = |file: &PathBuf| class(root, file).unwrap_or_else(|| word(folder));
        files.iter().map(|file| (file.clone(), class(file))).collect::<Vec<_>>()
    };
    let (files, names): (Vec<_>, Vec<_>) = classes.iter().flat_map(of).unzip();
    Ok((files, Labels::of_words(&names)?))
}

/// The class of a picture in a folder named after a WordNet ID, as in `mammals/n02111889/a.png`; if several such folders are
/// nested, the innermost one determines the class.
fn class(root: &Path, file: &Path) -> Option<String> {
    let folders = file.parent()?.strip_prefix(root).ok()?;
    let mut ids = folders.iter().rev().map(|part| part.to_string_lossy());
    ids.find(|part| wordnet_id(part).is_some()).map(|part| part.into_owned())
}
