//! Lists of pictures and their classes: CSV and TSV files, `labels.txt`, and ImageNet's lists.

use super::folder::{all_pictures, entries, is_picture, word};
use crate::data::{Dataset, Labels, Split, read_text, wordnet_id};
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use csv_core::{ReadRecordResult, ReaderBuilder};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// File name of a list with the name of a picture and its class on each line.
const LABELS: &str = "labels.txt";

/// File names of ImageNet's lists: the validation labels of the ILSVRC development kit, and the lists of Kaggle's ImageNet and
/// of Tiny ImageNet.
const GROUND_TRUTH: &str = "ILSVRC2012_validation_ground_truth.txt";
const KAGGLE: [(&str, Split); 2] =
    [("LOC_val_solution.csv", Split::Validation), ("LOC_train_solution.csv", Split::Train)];
const TINY: &str = "val_annotations.txt";

/// The folder of Kaggle's ImageNet pictures, relative to their list.
const KAGGLE_PICTURES: &str = "ILSVRC/Data/CLS-LOC";

/// WordNet IDs, ordered by the one-based IDs in [`GROUND_TRUTH`]: `map_clsloc.txt` of the development kit.
const ILSVRC: &str = include_str!("ilsvrc2012.txt");

/// Names of the columns with pictures and classes, in lower case.
const FILES: [&str; 8] = ["file", "filename", "file_name", "image", "path", "imageid", "image_id", "img"];
const CLASSES: [&str; 6] = ["label", "class", "target", "category", "class_name", "predictionstring"];

/// Maximum size of a list in bytes.
const LIMIT: u64 = 1 << 28;

/// Maximum depth of the search for pictures below a list.
const DEPTH: usize = 6;

/// Maximum number of columns of a table.
const COLUMNS: usize = 1024;

/// A description of the format, for error messages.
const EXAMPLE: &str = "put column names in the first line, such as \"file,label\", and a picture with its class in each following line, such as \"cat.png,tabby\"";

/// Opens the pictures in a list. Their paths are relative to the list's folder; a picture given only by name, with or without
/// its extension, may be in any subfolder.
///
/// A list is a CSV or TSV file whose first line names a picture column (`file`, `filename`, `image`, `path`) and a class column
/// (`label`, `class`, `target`), or a file without a header line whose first two columns are the picture and the class. Classes
/// are indices if all are numbers, otherwise names. Errors if a column or a picture is missing.
pub fn open(text: &str) -> Result<Dataset> {
    let path = Path::new(text);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (files, labels) = read(path, folder)?;
    Dataset::of_labelled_files(&format!("csv:{text}"), files, labels)
}

/// Whether a path is a CSV or TSV file or one of ImageNet's lists.
pub fn fits(path: &Path) -> bool {
    path.is_file() && (is_table(path) || [GROUND_TRUTH, TINY, LABELS].contains(&&word(path)[..]))
}

/// ImageNet's list for the pictures in a folder: Kaggle's or Tiny ImageNet's list in the folder, or the ground truth in the
/// folder, next to the folder, or in a development kit next to the folder.
pub(super) fn known(folder: &Path, flat: &[PathBuf], wanted: Option<Split>) -> Option<PathBuf> {
    let wanted = wanted.filter(|split| *split == Split::Train).unwrap_or(Split::Validation);
    let kaggle = KAGGLE.iter().filter(|(_, split)| *split == wanted).map(|(name, _)| folder.join(name));
    let own = kaggle.chain([folder.join(TINY), folder.join(GROUND_TRUTH)]);
    let from_imagenet = flat.first().is_some_and(|file| serial(file).is_some());
    let beside = from_imagenet
        .then(|| ["..", "../ILSVRC2012_devkit_t12/data"].map(|place| folder.join(place).join(GROUND_TRUTH)));
    own.chain(beside.into_iter().flatten()).find(|path| path.is_file())
}

/// Whether a folder has a list for this split.
pub(super) fn has_split(folder: &Path, split: Split) -> bool {
    let tables = entries(folder).unwrap_or_default().into_iter().filter(|path| is_table(path) && path.is_file());
    let splits: Vec<_> = tables.map(|path| Split::of_name(&word(&path))).collect();
    let kaggle = KAGGLE.iter().any(|(name, of)| *of == split && folder.join(name).is_file());
    kaggle || splits.len() > 1 && splits.iter().all(Option::is_some) && splits.contains(&Some(split))
}

/// The list of a folder: `labels.txt`, `labels.csv`, `labels.tsv`, the CSV or TSV file named after the split, or the only CSV or TSV
/// file in the folder.
///
/// Errors if there are several CSV or TSV files and none has one of these names.
pub(super) fn find(folder: &Path, wanted: Option<Split>) -> Result<Option<PathBuf>> {
    let files: Vec<_> = entries(folder)?.into_iter().filter(|path| path.is_file()).collect();
    let named = |name: &str| files.iter().find(|path| word(path) == name);
    if let Some(list) = named(LABELS).or_else(|| named("labels.csv")).or_else(|| named("labels.tsv")) {
        return Ok(Some(list.clone()));
    }
    let tables: Vec<_> = files.iter().filter(|path| is_table(path)).collect();
    let splits = match wanted {
        Some(split) => vec![split],
        None => vec![Split::Test, Split::Validation],
    };
    let of_split = |split: &Split| tables.iter().find(|path| Split::of_name(&word(path)) == Some(*split));
    match (&tables[..], splits.iter().find_map(of_split)) {
        ([], _) => Ok(None),
        ([only], None) => Ok(Some(only.to_path_buf())),
        (_, Some(list)) => Ok(Some(list.to_path_buf())),
        ([first, second, ..], None) => {
            let [one, other] = [first, second].map(|path| words::name(&word(path)).into_owned());
            let first = words::path(first);
            Err(Unclear(format!(
                "the folder has several lists, such as \"{one}\" and \"{other}\"; choose one, as in csv:{first}"
            ))
            .into())
        }
    }
}

/// The pictures in a list, and their labels. The pictures are in or below `folder`.
pub(super) fn read(list: &Path, folder: &Path) -> Result<(Vec<PathBuf>, Labels)> {
    let text = read_text(list, LIMIT)?;
    let read = match &word(list)[..] {
        GROUND_TRUTH => ground_truth(&text, folder),
        LABELS => lines(&text, folder),
        name if KAGGLE.iter().any(|(known, _)| *known == name) => table(&text, list, &kaggle_folder(folder, name)),
        _ => table(&text, list, folder),
    };
    read.with_context(|| format!("reading the list \"{}\"", words::path(list)))
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv") || ending.eq_ignore_ascii_case("tsv"))
}

fn kaggle_folder(folder: &Path, list: &str) -> PathBuf {
    let split = if list == KAGGLE[0].0 { "val" } else { "train" };
    let pictures = folder.join(KAGGLE_PICTURES).join(split);
    if pictures.is_dir() { pictures } else { folder.into() }
}

/// Reads ImageNet's ground truth: the one-based ILSVRC ID of each picture, in the order of the pictures' names.
fn ground_truth(text: &str, folder: &Path) -> Result<(Vec<PathBuf>, Labels)> {
    let files = all_pictures(folder, DEPTH)?;
    let ids: Vec<&str> = ILSVRC.lines().collect();
    let id = |(i, line): (usize, &str)| {
        let number = line.trim().parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        number.and_then(|number| ids.get(number).copied()).with_context(|| {
            format!(
                "line {} is \"{}\"; expected an ILSVRC 2012 class number from 1 to 1000",
                i + 1,
                words::name(line.trim())
            )
        })
    };
    let truth = text.trim_end().lines().enumerate().map(id).collect::<Result<Vec<_>>>()?;
    let places: Vec<_> = match files.iter().map(|file| serial(file)).collect::<Option<Vec<_>>>() {
        Some(serials) => serials,
        None => {
            ensure!(
                files.len() == truth.len(),
                "the list has {} lines, but there are {} pictures",
                truth.len(),
                files.len()
            );
            (0..files.len()).collect()
        }
    };
    let class = |(file, place): (&PathBuf, &usize)| {
        truth.get(*place).copied().with_context(|| format!("the list has no line for \"{}\"", words::name(&word(file))))
    };
    let classes = files.iter().zip(&places).map(class).collect::<Result<Vec<_>>>()?;
    Ok((files, Labels::of_words(&classes)?))
}

/// The zero-based index of a picture in ImageNet's validation set: 41 for `ILSVRC2012_val_00000042.JPEG`.
fn serial(file: &Path) -> Option<usize> {
    let name = file.file_stem()?.to_str()?;
    name.strip_prefix("ILSVRC2012_val_")?.parse::<usize>().ok()?.checked_sub(1)
}

/// Reads `labels.txt`: on each line, the name of a picture, a space, tab or comma, and its class. Names may contain spaces.
fn lines(text: &str, folder: &Path) -> Result<(Vec<PathBuf>, Labels)> {
    let (mut files, mut classes) = (Vec::new(), Vec::new());
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut parts = line.match_indices([' ', '\t', ',']).map(|(at, _)| line.split_at(at));
        let there = |file: &str| is_picture(Path::new(file)) && folder.join(file).is_file();
        let parts = parts.find(|(file, class)| there(file) && !class[1..].trim().is_empty());
        let (file, class) = parts.with_context(|| {
            format!("line {} must be the file name of a picture in the folder, followed by its class", i + 1)
        })?;
        files.push(folder.join(file));
        classes.push(class[1..].trim());
    }
    let labels = Labels::of_words(&classes)?;
    Ok((files, labels))
}

/// Reads a CSV or TSV file.
fn table(text: &str, list: &Path, folder: &Path) -> Result<(Vec<PathBuf>, Labels)> {
    let rows = rows(text)?;
    let finder = Finder { folder, below: OnceCell::new() };
    let (rows, [file, class]) = columns(&rows, &finder)?;
    let (mut files, mut classes) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in rows {
        let line = row.line;
        let cell = |column: usize| {
            let cell = row.cells.get(column).filter(|cell| !cell.is_empty());
            cell.with_context(|| format!("line {line} has no column {}; {EXAMPLE}", column + 1))
        };
        let name = cell(file)?;
        let found = finder.find(name)?;
        files.push(found.with_context(|| {
            let (name, list) = (words::name(name), words::path(list.parent().unwrap_or(list)));
            format!("line {line} names \"{name}\", which is not in \"{list}\" or its subfolders")
        })?);
        // Kaggle's lists give the class and box of each object in a picture; all objects in a picture have the same class.
        let class = cell(class)?;
        let first = class.split_whitespace().next().filter(|word| wordnet_id(word).is_some());
        classes.push(first.unwrap_or(class).to_string());
    }
    let labels = Labels::of_words(&classes)?;
    Ok((files, labels))
}

/// A row of a table.
struct Row {
    /// One-based number of the row's first line.
    line: u64,
    cells: Vec<String>,
}

/// Splits a table into rows. The delimiter is the tab, semicolon or comma used in the first line.
fn rows(text: &str) -> Result<Vec<Row>> {
    let first = text.lines().next().unwrap_or_default();
    let delimiter = *[b'\t', b';', b','].iter().find(|d| first.as_bytes().contains(d)).unwrap_or(&b',');
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    let (mut input, mut cells, mut ends) = (text.as_bytes(), vec![0; text.len() + 1], [0; COLUMNS]);
    let (mut rows, mut filled, mut ended, mut line) = (Vec::new(), 0, 0, 1);
    loop {
        let (result, read, written, columns) = reader.read_record(input, &mut cells[filled..], &mut ends[ended..]);
        input = &input[read..];
        (filled, ended) = (filled + written, ended + columns);
        match result {
            ReadRecordResult::Record => {
                let starts = [0].into_iter().chain(ends[..ended].iter().copied());
                let cell =
                    |(start, end): (usize, &usize)| String::from_utf8_lossy(&cells[start..*end]).trim().to_string();
                rows.push(Row { line, cells: starts.zip(&ends[..ended]).map(cell).collect() });
                (filled, ended, line) = (0, 0, reader.line());
            }
            ReadRecordResult::End => return Ok(rows),
            ReadRecordResult::InputEmpty => {}
            _ => bail!("line {} has more than {COLUMNS} columns", reader.line()),
        }
    }
}

/// The rows after the header, if any, and the indices of the picture and class columns.
fn columns<'a>(rows: &'a [Row], finder: &Finder) -> Result<(&'a [Row], [usize; 2])> {
    let (head, rest) = rows.split_first().with_context(|| format!("the list is empty; {EXAMPLE}"))?;
    let head = &head.cells;
    let is = |name: &str| head.iter().position(|cell| cell.eq_ignore_ascii_case(name));
    let column = |names: &[&str]| names.iter().find_map(|name| is(name));
    if let (Some(file), Some(class)) = (column(&FILES), column(&CLASSES)) {
        return Ok((rest, [file, class]));
    }
    let named = head.first().map_or(Ok(None), |name| finder.find(name))?;
    if head.len() >= 2 && named.is_some() {
        return Ok((rows, [0, 1]));
    }
    let cells: Vec<_> = head.iter().take(6).map(|cell| format!("\"{}\"", words::name(cell))).collect();
    Err(Unclear(format!("the first line is {}; {EXAMPLE}", cells.join(", "))).into())
}

/// The error for tables that may be unrelated to the pictures in their folder: tables without picture and class columns, or several
/// tables.
#[derive(Debug)]
pub(super) struct Unclear(String);

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unclear {}

/// Finds the pictures in a list.
struct Finder<'a> {
    folder: &'a Path,
    /// The pictures below the folder, by name and by name without extension; `None` if a name is ambiguous.
    below: OnceCell<HashMap<String, Option<PathBuf>>>,
}

impl Finder<'_> {
    /// The picture with this path or name. Errors if several pictures have the name.
    fn find(&self, name: &str) -> Result<Option<PathBuf>> {
        let path = self.folder.join(name);
        if is_picture(&path) && path.is_file() {
            return Ok(Some(path));
        }
        let wanted = word(Path::new(name));
        match self.below().get(&wanted) {
            Some(None) => {
                bail!("several pictures are named \"{}\"; list their paths instead of names", words::name(&wanted))
            }
            found => Ok(found.cloned().flatten()),
        }
    }

    fn below(&self) -> &HashMap<String, Option<PathBuf>> {
        self.below.get_or_init(|| {
            let mut below: HashMap<String, Option<PathBuf>> = HashMap::new();
            for path in all_pictures(self.folder, DEPTH).unwrap_or_default() {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                for name in [word(&path), stem] {
                    below.entry(name).and_modify(|place| *place = None).or_insert_with(|| Some(path.clone()));
                }
            }
            below
        })
    }
}
