//! Exports results as files. Each output format has a module and is listed in `FORMATS`.
//!
//! An exported result is a folder with the files of all figures and `result.json`. A [`sheet`] is a single picture of all
//! figures, and a [`film`] shows the steps of a run.

mod csv;
pub mod date;
mod figure_entry;
pub mod film;
mod format;
mod logits;
mod metadata;
pub(crate) mod names;
mod npy;
mod png;
pub mod result;
pub mod sheet;
mod text;
mod tsv;
mod typed;

use crate::data::{create_folder, disk, write_whole};
use crate::render::{self, Colormap, Figure};
use crate::script::host::Host;
use crate::script::session::Session;
use crate::script::summary::Frame;
use crate::words;
use anyhow::{Context, Result};
use format::{Drawn, Format, Purpose};
use image::RgbImage;
use names::{Files, Names};
use std::path::{Path, PathBuf};

/// All output formats. A figure is written in every format that applies to it.
#[rustfmt::skip]
const FORMATS: &[Format] = &[
    png::FORMAT,
    text::FORMAT,
    npy::FORMAT,
    csv::FORMAT,
    tsv::FORMAT,
    metadata::FORMAT,
];

/// Writes figures, `logits.npy` and `result.json` to a folder, creating it if necessary, and returns the paths of the files. Each
/// figure is written as `NN-title.png` (`NN-title.txt` for text) and, if it has raw values, as `title.npy`.
///
/// Files are written atomically. `result.json` is written last, and an existing one is removed first. Therefore, if `result.json`
/// exists, all files that it lists exist and belong to the same run. `paint` is called once per figure.
pub fn write(
    folder: &Path,
    session: &Session,
    host: &Host,
    frame: &Frame,
    paint: impl FnMut(&Figure) -> Option<RgbImage>,
) -> Result<Vec<PathBuf>> {
    let result = folder.join("result.json");
    disk::remove(&result)?;
    let files = figures(folder, &frame.figures, paint)?;
    logits::write(folder, session, host)?;
    let text = words::json(&result::with_files(session, host, frame, &files)?);
    write_whole(&result, (text + "\n").as_bytes())?;
    let names = files.iter().flat_map(|files| files.shown.iter().chain(&files.raw).chain(&files.other));
    Ok(names.map(|name| folder.join(name)).chain([folder.join(logits::FILE), result]).collect())
}

/// Paints a figure for export with the default colormap; `None` if the figure is text.
pub fn paint(figure: &Figure) -> Option<RgbImage> {
    render::paint(figure, Colormap::default())
}

/// Writes figures to a folder, without `result.json`.
pub(in crate::script) fn figures(
    folder: &Path,
    figures: &[Figure],
    mut paint: impl FnMut(&Figure) -> Option<RgbImage>,
) -> Result<Vec<Files>> {
    create_folder(folder)?;
    let mut names = Names::without(logits::NAME);
    let drawn = figures.iter().map(|figure| Drawn { figure, picture: paint(figure) });
    drawn
        .enumerate()
        .map(|(i, drawn)| in_all_formats(folder, i + 1, &names.next(&drawn.figure.title), &drawn))
        .collect()
}

fn in_all_formats(folder: &Path, number: usize, name: &str, drawn: &Drawn) -> Result<Files> {
    let mut files = Files::default();
    for &Format { ending, purpose, bytes } in FORMATS {
        let number = if purpose == Purpose::Viewing { format!("{number:02}-") } else { String::new() };
        let file = format!("{number}{name}.{ending}");
        let path = folder.join(&file);
        let bytes = bytes(drawn).with_context(|| format!("writing \"{}\"", words::path(&path)))?;
        let Some(bytes) = bytes else { continue };
        write_whole(&path, &bytes)?;
        match purpose {
            Purpose::Viewing => files.shown.push(file),
            Purpose::RawValues => files.raw.push(file),
            Purpose::Other => files.other.push(file),
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{Array, Body, Cells, Scale};
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    fn map(title: &str) -> Figure {
        let values = Array::new(vec![1, 1, 2, 2], vec![0.0, 0.5, 1.0, 0.25]).unwrap();
        let body = Body::Map { values, scale: Scale::Range, over: None, note: String::new(), cells: Cells::default() };
        Figure::new(title, body)
    }

    fn words(title: &str) -> Figure {
        Figure::new(title, Body::Text { text: "x".into() })
    }

    #[test]
    fn each_figure_is_painted_once_and_that_picture_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let painted = RefCell::new(vec![]);
        let red = |figure: &Figure| {
            painted.borrow_mut().push(figure.title.clone());
            paint(figure).map(|_| RgbImage::from_pixel(2, 1, image::Rgb([255, 0, 0])))
        };
        figures(folder.path(), &[map("a"), words("b"), map("c")], red).unwrap();
        assert_eq!(*painted.borrow(), ["a", "b", "c"]);
        let written = image::open(folder.path().join("03-c.png")).unwrap().into_rgb8();
        assert_eq!((written.dimensions(), written.get_pixel(1, 0).0), ((2, 1), [255, 0, 0]));
    }

    #[test]
    fn a_figure_is_written_in_each_format_that_applies_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let files = figures(folder.path(), &[map("a map"), words("words")], paint).unwrap();
        assert_eq!((&*files[0].shown[0], &*files[0].raw[0]), ("01-a_map.png", "a_map.npy"));
        assert_eq!(files[1].shown[0], "02-words.txt");
        let there = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let there: BTreeSet<_> = there.collect();
        assert!(!there.contains("01-a_map.txt") && !there.contains("words.npy"), "{there:?}");
        assert_eq!(there, files.into_iter().flat_map(|files| [files.shown, files.raw, files.other].concat()).collect());
    }
}
