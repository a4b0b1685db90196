//! Data sets in folders of picture files.

use crate::data::{Dataset, read_text};
use crate::words;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// File name extensions of pictures, in lower case.
const ENDINGS: [&str; 7] = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "npy"];

/// The file that lists the classes of a folder without subfolders.
const LABELS: &str = "labels.txt";

/// Maximum size of [`LABELS`] in bytes.
const LABEL_BYTES: u64 = 1 << 28;

/// Exclusive upper bound of class indices.
const MAX_CLASSES: usize = 1_000_000;

/// Opens the pictures in a folder, ordered by name.
///
/// Each subfolder is a class, as in torchvision's `ImageFolder`: class 0 is the first in alphabetical order. If all subfolder
/// names are numbers, they are the class indices: `243/` is class 243. Without subfolders, `labels.txt` gives the class of each
/// picture, one per line: `cat.png 281`; if all classes are numbers, they are class indices; otherwise they are class names,
/// numbered alphabetically. Without that file, the pictures have no labels.
///
/// Files whose extension is not that of a picture are ignored, and so are names that begin with a dot. Errors if there are no
/// pictures, if only some of the subfolders contain pictures, or if a line of `labels.txt` does not name a picture.
pub fn open(text: &str) -> Result<Dataset> {
    let (folder, name) = (Path::new(text), format!("folder:{text}"));
    let (folders, files): (Vec<_>, Vec<_>) = entries(folder)?.into_iter().partition(|path| path.is_dir());
    let classes = folders.iter().map(|folder| Ok((folder, pictures(entries(folder)?)))).collect::<Result<Vec<_>>>()?;
    let flat = pictures(files);
    if classes.iter().any(|(_, files)| !files.is_empty()) {
        return by_folder(&name, &classes);
    }
    if flat.is_empty() {
        bail!("no pictures in it or its subfolders; supported extensions: {}", ENDINGS.join(", "));
    }
    match folder.join(LABELS) {
        labels if labels.is_file() => by_list(&name, folder, &labels, &flat),
        _ => Dataset::without_labels(&name, flat),
    }
}

/// The entries of a folder, ordered by name, without those whose name begins with a dot.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || format!("reading the folder \"{}\"", words::path(&folder));
    let found = folder.read_dir().with_context(read)?;
    let mut paths = found.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>().with_context(read)?;
    paths.retain(|path| !word(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

fn pictures(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let ending = |path: &Path| path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    paths.retain(|path| ENDINGS.contains(&&ending(path)[..]) && path.is_file());
    paths
}

fn by_folder(name: &str, classes: &[(&PathBuf, Vec<PathBuf>)]) -> Result<Dataset> {
    if let Some((empty, _)) = classes.iter().find(|(_, files)| files.is_empty()) {
        bail!("\"{}\" has no pictures, but every subfolder is read as a class; move it elsewhere", words::path(&empty));
    }
    let words: Vec<_> = classes.iter().map(|(folder, _)| word(folder)).collect();
    let (names, labels) = labels(&words)?;
    let of = |((_, files), label): (&(_, Vec<PathBuf>), usize)| files.iter().map(move |f| (f.clone(), label)).collect();
    let files: Vec<Vec<_>> = classes.iter().zip(labels).map(of).collect();
    Dataset::of_files(name, names, files.concat())
}

/// A data set whose classes are listed in a file, each line of which is the name of a picture followed by its class.
fn by_list(name: &str, folder: &Path, list: &Path, pictures: &[PathBuf]) -> Result<Dataset> {
    let text = read_text(list, LABEL_BYTES)?;
    let pictures: BTreeSet<_> = pictures.iter().collect();
    let (mut files, mut words) = (Vec::new(), Vec::new());
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut parts = line.match_indices([' ', '\t', ',']).map(|(at, _)| line.split_at(at));
        let parts = parts.find(|(file, class)| pictures.contains(&folder.join(file)) && !class[1..].trim().is_empty());
        let (file, class) = parts.with_context(|| {
            format!(
                "line {} of \"{}\" must be the name of a picture in the folder, then its class",
                i + 1,
                words::path(&list)
            )
        })?;
        files.push(folder.join(file));
        words.push(class[1..].trim().to_string());
    }
    let (classes, labels) = labels(&words)?;
    Dataset::of_files(name, classes, files.into_iter().zip(labels).collect())
}

/// Class names, and the class index of each word: its value if all words are numbers, otherwise its position in alphabetical
/// order.
fn labels(words: &[String]) -> Result<(Vec<String>, Vec<usize>)> {
    if let Ok(numbers) = words.iter().map(|word| word.parse::<usize>()).collect::<Result<Vec<_>, _>>() {
        let large = numbers.iter().find(|&&n| n >= MAX_CLASSES);
        return large.map_or(Ok((Vec::new(), numbers.clone())), |n| {
            bail!("class index {n} is too large; indices are below {MAX_CLASSES}")
        });
    }
    let classes: Vec<_> = words.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let labels = words.iter().filter_map(|word| classes.binary_search(word).ok()).collect();
    Ok((classes, labels))
}

/// The last component of a path, as a string.
fn word(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
