//! What a file is: a picture, a data set, weights, an array, or anything else.

use super::goal::FileGoal;
use crate::data::formats::folder::is_picture;
use crate::data::{Dataset, Picture, read_npy, source};
use crate::interrupt;
use crate::model::weights;
use crate::panics::caught;
use crate::script::architecture::open_model::{is_graph_file, is_weight_file};
use crate::script::export::date::rfc_3339;
use crate::sync::LockUnpoisoned;
use anyhow::{Result, anyhow, bail};
use image::RgbImage;
use std::fs::Metadata;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Maximum size in bytes of a file that is read in full.
const LARGE: u64 = 128 << 20;
/// Maximum number of entries of a folder that is opened as a data set.
const MANY: usize = 20_000;
/// Maximum depth of the subfolders to count.
const DEPTH: usize = 6;
/// Maximum time to read a file.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longer side of a thumbnail in pixels.
const SIDE: u32 = 192;
/// Maximum number of names of tensors or classes.
const NAMES: usize = 6;

/// What a file is, in words and, for pictures and data sets, a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileAbout {
    /// One fact per line.
    pub lines: Vec<String>,
    /// Thumbnail of the picture, or of the first picture of the data set.
    pub picture: Option<Arc<RgbImage>>,
}

static NEWEST: AtomicU64 = AtomicU64::new(0);
static READING: Mutex<()> = Mutex::new(());

/// The ticket of a new request to [`about_if_newest`].
pub fn ticket() -> u64 {
    NEWEST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Like [`about`], one file at a time; `None` if there is a newer request by the time it is this one's turn.
pub fn about_if_newest(ticket: u64, goal: &FileGoal, value: &str) -> Option<FileAbout> {
    let _turn = READING.lock_unpoisoned();
    (NEWEST.load(Ordering::Relaxed) == ticket).then(|| about(goal, value))
}

/// Describes the file, folder or synthetic data set `value`. Large files are not read, and reading stops after a few seconds. What
/// cannot be read is described by the error.
pub fn about(goal: &FileGoal, value: &str) -> FileAbout {
    let path = Path::new(value);
    if value.starts_with("made:") && !path.exists() {
        return bounded(|| data_set(value)).unwrap_or_else(wrong);
    }
    let facts = match std::fs::metadata(path) {
        Ok(facts) => facts,
        Err(error) => return wrong(anyhow!("cannot be opened: {error}")),
    };
    let mut about = bounded(|| contents(goal, path, value, &facts)).unwrap_or_else(wrong);
    if facts.is_file() {
        about.lines.push(size(facts.len()));
    }
    about.lines.extend(changed(&facts));
    about
}

fn contents(goal: &FileGoal, path: &Path, value: &str, facts: &Metadata) -> Result<FileAbout> {
    if facts.is_dir() {
        return folder(goal, path, value);
    }
    if !facts.is_file() {
        bail!("a device, pipe or socket");
    }
    let small = facts.len() <= LARGE;
    let array = matches!(goal, FileGoal::Array(_)) && value.ends_with(".npy");
    let kind = source::looks_like(path);
    // CIFAR's files end like weights.
    let other = *goal != FileGoal::Data || kind.is_none();
    match kind {
        _ if is_graph_file(value) => Ok(lines(["a network: graph and weights".into()])),
        _ if other && is_weight_file(value) => tensors(path),
        _ if array && small => of_array(path),
        _ if is_picture(path) && small => picture(path),
        Some(kind) if small || ["webdataset", "parquet"].contains(&kind) => data_set(value),
        Some(kind) => Ok(lines([format!("a data set ({kind}), too large to be read here")])),
        None => Ok(lines(["a file".into()])),
    }
}

/// Calls `read`, which ends with an error if it takes too long or panics.
fn bounded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    let probe = Arc::new(move || (begun.elapsed() > PATIENCE).then(|| "takes too long to read".to_owned()));
    caught(|| interrupt::within(probe, read)).unwrap_or_else(|panic| Err(anyhow!("damaged: {panic}")))
}

fn lines(lines: impl IntoIterator<Item = String>) -> FileAbout {
    FileAbout { lines: lines.into_iter().collect(), picture: None }
}

fn wrong(error: anyhow::Error) -> FileAbout {
    lines([format!("{error:#}")])
}

fn folder(goal: &FileGoal, path: &Path, value: &str) -> Result<FileAbout> {
    let mut left = MANY;
    let (folders, files) = counted(path, DEPTH, &mut left);
    let more = if left == 0 { "more than " } else { "" };
    let inner = if folders > 0 { format!(" in {}", number(folders + 1, "folder")) } else { String::new() };
    let count = format!("a folder: {more}{}{inner}", number(files, "file"));
    if *goal != FileGoal::Data || files == 0 || left == 0 {
        return Ok(lines([count]));
    }
    Ok(match data_set(value) {
        Ok(about) => about,
        Err(error) => lines([count, format!("not a data set: {}", error.root_cause())]),
    })
}

/// Number of folders and files in a folder and its subfolders, counting at most `left` entries.
fn counted(folder: &Path, depth: usize, left: &mut usize) -> (usize, usize) {
    let (mut folders, mut files) = (0, 0);
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if *left == 0 {
            break;
        }
        *left -= 1;
        // Links are not followed.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files += 1;
            continue;
        }
        folders += 1;
        if depth > 0 {
            let (inner_folders, inner_files) = counted(&entry.path(), depth - 1, left);
            (folders, files) = (folders + inner_folders, files + inner_files);
        }
    }
    (folders, files)
}

fn data_set(spec: &str) -> Result<FileAbout> {
    let set = source::open(spec)?;
    let kind = set.name.split(':').next().unwrap_or_default().to_owned();
    let mut found = vec![format!("a data set ({kind})"), number(set.len(), "picture")];
    found.extend(shape(&set));
    found.push(match (set.labelled, &set.classes[..]) {
        (false, _) => "no labels".into(),
        (true, []) => number(set.class_count(), "class"),
        (true, names) => {
            let more = if names.len() > NAMES { ", …" } else { "" };
            let first: Vec<_> = names.iter().take(NAMES).map(String::as_str).collect();
            format!("{}: {}{more}", number(set.class_count(), "class"), first.join(", "))
        }
    });
    let picture = set.picture(0).and_then(|picture| picture.thumbnail(SIDE)).ok().map(Arc::new);
    Ok(FileAbout { lines: found, picture })
}

fn shape(set: &Dataset) -> Option<String> {
    let [channels, height, width] = set.picture(0).ok()?.shape().ok()?;
    Some(format!("the first: {width}×{height}, {}", number(channels, "channel")))
}

fn picture(path: &Path) -> Result<FileAbout> {
    let picture = Picture::open(path)?;
    let [channels, height, width] = picture.shape()?;
    let about = format!("a picture: {width}×{height}, {}", number(channels, "channel"));
    Ok(FileAbout { lines: vec![about], picture: picture.thumbnail(SIDE).ok().map(Arc::new) })
}

fn of_array(path: &Path) -> Result<FileAbout> {
    let array = read_npy(path)?;
    Ok(lines([format!("an array: {}, {}", sizes(&array.shape), array.dtype)]))
}

fn tensors(path: &Path) -> Result<FileAbout> {
    let archive = weights::open(path)?;
    let mut found = vec![];
    for dict in archive.dicts.iter().take(NAMES) {
        let parameters = dict.tensors.values().map(|t| t.shape.iter().fold(1usize, |n, side| n.saturating_mul(*side)));
        let parameters = parameters.fold(0, usize::saturating_add);
        let key = if dict.key.is_empty() { String::new() } else { format!("{}: ", dict.key) };
        found.push(format!("{key}{}, {}", number(dict.tensors.len(), "tensor"), number(parameters, "parameter")));
        let named = dict.tensors.iter().map(|(name, tensor)| format!("{name} {}", sizes(&tensor.shape)));
        found.extend(first_names(named, dict.tensors.len()));
    }
    Ok(lines(found))
}

/// The first names, one per line, and how many more there are.
fn first_names(names: impl Iterator<Item = String>, count: usize) -> Vec<String> {
    let more = (count > NAMES).then(|| format!("  … {} more", grouped(count - NAMES)));
    names.take(NAMES).map(|name| format!("  {name}")).chain(more).collect()
}

fn sizes(shape: &[usize]) -> String {
    let sides: Vec<_> = shape.iter().map(usize::to_string).collect();
    if sides.is_empty() { "scalar".into() } else { sides.join("×") }
}

/// Formats a number of things: `1 file`, `2,000 files`, `10 classes`.
fn number(count: usize, what: &str) -> String {
    let plural = match what {
        _ if count == 1 => "",
        _ if what.ends_with('s') => "es",
        _ => "s",
    };
    format!("{} {what}{plural}", grouped(count))
}

/// Formats a number with commas between groups of three digits.
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let comma = |(i, digit): (usize, char)| {
        let comma = i > 0 && (digits.len() - i).is_multiple_of(3);
        [Some(',').filter(|_| comma), Some(digit)].into_iter().flatten()
    };
    digits.chars().enumerate().flat_map(comma).collect()
}

fn size(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1e3 => format!("{bytes} B"),
        b if b < 1e6 => format!("{:.1} kB", b / 1e3),
        b if b < 1e9 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.2} GB", b / 1e9),
    }
}

/// The date of the last change, in UTC.
fn changed(facts: &Metadata) -> Option<String> {
    let since = facts.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    // Years beyond 9999 are those of damaged file systems.
    let date = rfc_3339(Some(since.as_secs()).filter(|seconds| *seconds < 253_402_300_800)?);
    Some(format!("changed {} {} UTC", date.get(..10)?, date.get(11..16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(goal: &FileGoal, path: &Path) -> String {
        about(goal, path.to_str().unwrap()).lines.join("\n")
    }

    #[test]
    fn pictures_data_sets_and_weights_are_described() {
        let folder = tempfile::tempdir().unwrap();
        for class in ["cat", "dog"] {
            std::fs::create_dir_all(folder.path().join("set").join(class)).unwrap();
            RgbImage::new(5, 4).save(folder.path().join(format!("set/{class}/a.png"))).unwrap();
        }
        let set = about(&FileGoal::Data, folder.path().join("set").to_str().unwrap());
        let facts = ["a data set (folder)", "2 pictures", "the first: 5×4, 3 channels", "2 classes: cat, dog"];
        assert_eq!(set.lines[..4], facts);
        assert!(set.picture.is_some());
        let one = about(&FileGoal::Picture, folder.path().join("set/cat/a.png").to_str().unwrap());
        assert!(one.lines[0] == "a picture: 5×4, 3 channels" && one.picture.is_some(), "{one:?}");
        let header = br#"{"fc.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#;
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 24]].concat();
        std::fs::write(folder.path().join("w.safetensors"), bytes).unwrap();
        let seen = text(&FileGoal::Weights, &folder.path().join("w.safetensors"));
        assert!(seen.starts_with("1 tensor, 6 parameters\n  fc.weight 2×3\n"), "{seen}");
        assert!(seen.contains(" B\nchanged 2"), "{seen}");
        let made = about(&FileGoal::Data, "made:shapes");
        assert!(made.lines[0] == "a data set (made)" && made.picture.is_some(), "{made:?}");
    }

    #[test]
    fn damaged_files_and_odd_files_are_described_without_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.pth", "a.safetensors", "a.npz", "a.png", "a.npy", "a.tar", "a.parquet", "a.csv", "a.txt"] {
            for bytes in [&b""[..], b"\x80\x02broken", &[0xFF; 300], b"\x93NUMPY\x01\0\xff\xff"] {
                let file = folder.path().join(name);
                std::fs::write(&file, bytes).unwrap();
                for goal in [FileGoal::Data, FileGoal::Weights, FileGoal::Picture, FileGoal::Array("x".into())] {
                    let about = about(&goal, file.to_str().unwrap());
                    assert!(about.lines.len() >= 3 && about.picture.is_none(), "{name}: {about:?}");
                }
            }
        }
        assert!(text(&FileGoal::Data, Path::new("/there is none")).contains("cannot be opened"));
        assert!(text(&FileGoal::Data, folder.path()).contains("not a data set"));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("a.png");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            assert!(text(&FileGoal::Picture, &pipe).contains("device, pipe or socket"));
        }
        assert!(text(&FileGoal::Picture, Path::new("/dev/zero")).contains("device, pipe or socket"));
    }

    #[test]
    fn only_the_newest_request_is_answered() {
        let (old, new) = (ticket(), ticket());
        assert_eq!(about_if_newest(old, &FileGoal::Data, "made:moons"), None);
        assert!(about_if_newest(new, &FileGoal::Data, "made:moons").is_some());
    }

    #[test]
    fn numbers_are_grouped_and_plural() {
        let all = [(1, "file"), (0, "file"), (1_234_567, "parameter"), (10, "class")];
        assert_eq!(all.map(|(n, what)| number(n, what)), ["1 file", "0 files", "1,234,567 parameters", "10 classes"]);
    }
}
