//! A result as files: every figure as a picture, its raw values as `.npy`, and `result.json` about all of it.

use crate::data::{Dataset, create_folder, disk, source, write_npy, write_whole};
use crate::model::{ClassMap, Model};
use crate::render::{self, Array, Body, ClassRow, Colormap, Figure};
use crate::script::host::Host;
use crate::script::session::Session;
use crate::script::summary::Frame;
use crate::words;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Letters across in figures that are words.
const WIDTH: usize = 100;

/// Files of one figure, by name.
#[derive(Clone, Debug, Default)]
struct Files {
    shown: Option<String>,
    raw: Option<String>,
}

/// Writes figures into a folder, which is made when it is missing: `NN-title.png` (`.txt` for words), `title.npy`,
/// `result.json`. Each file is written whole or not at all, `result.json` last, and one of an earlier run is removed first: where
/// there is one, all that it names is there and of the same run. Gives the files written.
pub fn write(folder: &Path, session: &Session, host: &Host, frame: &Frame) -> Result<Vec<PathBuf>> {
    disk::remove(&folder.join("result.json"))?;
    let mut written = figures(folder, &frame.figures)?;
    let names = names(&frame.figures);
    let result = folder.join("result.json");
    let text = words::json(&about(session, host, frame, &names)?);
    write_whole(&result, (text + "\n").as_bytes())?;
    written.push(result);
    Ok(written)
}

/// Writes figures into a folder without a word about them.
pub(crate) fn figures(folder: &Path, figures: &[Figure]) -> Result<Vec<PathBuf>> {
    create_folder(folder)?;
    let mut written = vec![];
    for (figure, files) in figures.iter().zip(names(figures)) {
        if let Some(name) = files.shown {
            write_whole(&folder.join(&name), &shown(figure)?)?;
            written.push(folder.join(name));
        }
        if let (Some(name), Some(values)) = (files.raw, raw(figure)) {
            write_npy(&folder.join(&name), &values.shape, &values.data)?;
            for (ending, text) in texts(figure) {
                let path = folder.join(&name).with_extension(ending);
                write_whole(&path, text.as_bytes())?;
                written.push(path);
            }
            written.push(folder.join(name));
        }
    }
    Ok(written)
}

/// Rows of numbers in the forms that other programs read, by the ending of their files.
fn texts(figure: &Figure) -> Vec<(&'static str, String)> {
    match &figure.body {
        Body::Scatter { points } => vec![("csv", render::csv(points))],
        Body::Sheet { points } => vec![
            ("csv", render::csv(points)),
            ("tsv", render::vectors(points)),
            ("metadata.tsv", render::metadata(points)),
        ],
        _ => vec![],
    }
}

/// What `result.json` says, with no files named.
pub fn document(session: &Session, host: &Host, frame: &Frame) -> Result<Value> {
    about(session, host, frame, &vec![Files::default(); frame.figures.len()])
}

fn about(session: &Session, host: &Host, frame: &Frame, names: &[Files]) -> Result<Value> {
    let model = session.model();
    let texts = |pairs: Vec<(String, String)>| pairs.into_iter().map(|(name, text)| (name, text.into())).collect();
    let (parameters, asked): (Map<_, _>, Map<_, _>) = (texts(session.as_used()), texts(session.asked_otherwise()));
    let target = session.target().map(|class| json!({ "class": class, "label": model.card.label(class) }));
    let top: Vec<_> = session.classes(host, 5)?.iter().map(class).collect();
    let figures: Vec<_> = frame.figures.iter().zip(names).map(|(f, files)| figure(f, files)).collect();
    let steps = session.scalars().into_iter().enumerate().map(|(step, numbers)| {
        let not_finite = numbers.iter().filter(|(_, value)| !value.is_finite());
        let not_finite: Map<_, _> = not_finite.map(|(name, value)| (name.clone(), json!(value.to_string()))).collect();
        let numbers = numbers.into_iter().map(|(name, value)| (name, json!(value)));
        let mut all: Map<_, _> = std::iter::once(("step".to_string(), json!(step))).chain(numbers).collect();
        if !not_finite.is_empty() {
            all.insert("not_finite_values".into(), not_finite.into());
        }
        Value::Object(all)
    });
    let method = session.method();
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "method": method.map(|m| m.name.clone()),
        "model": model.card.name,
        "weights": &*model.hash,
        "weights_taken": (!model.taken.is_empty()).then_some(&*model.taken),
        "picture": session.picture(),
        "file": source::file(session.picture()),
        "data": session.data().opened().map(|set| data(set, model)),
        "seed": session.seed(),
        "parameters": parameters,
        "asked": asked,
        "target": target,
        "scores": model.graph.scores.name(),
        "top5": top,
        "not_finite": session.unnamed().map_or(0, |why| why.scores.count()),
        "figures": figures,
        "steps": if method.is_some_and(|m| m.stepped) { steps.collect() } else { vec![] },
        "done": frame.done,
        "notes": session.told().notes(),
        "timings": { "last_step_ms": frame.millis, "steps_ms": session.millis() },
    }))
}

/// A data set, and how its classes were matched with the network's, if they can be.
fn data(set: &Dataset, model: &Model) -> Value {
    let map = ClassMap::matched(set, &model.card, model.classes());
    json!({ "name": set.name, "pictures": set.len(), "labels": map.ok().map(|map| map.by.to_string()) })
}

fn class(row: &ClassRow) -> Value {
    json!({ "class": row.class, "label": row.label, "probability": row.probability, "logit": row.logit })
}

fn figure(figure: &Figure, files: &Files) -> Value {
    let range = figure.values().and_then(Array::range).map(|(low, high)| json!([low, high]));
    let scale = render::range(figure).filter(|r| !r.is_empty());
    let scale = scale.map(|r| json!({ "low": r.low, "high": r.high, "chosen": r.chosen }));
    let mut all = json!({
        "title": figure.title,
        "file": files.shown,
        "raw": files.raw,
        "range": range,
        "not_finite": figure.not_finite().0,
        "scale": scale,
    });
    if let Body::Map { note, .. } = &figure.body
        && !note.is_empty()
    {
        all["note"] = note.as_str().into();
    }
    if let Body::Montage { shown, of, .. } = &figure.body
        && shown < of
    {
        all["shown"] = json!({ "drawn": shown, "of": of });
    }
    if let Body::Table { columns, rows } = &figure.body {
        all["table"] = json!({ "columns": columns, "rows": rows });
    }
    all
}

/// The raw values, pictures with their batch of one.
fn raw(figure: &Figure) -> Option<Array> {
    let mut values = figure.values()?.clone();
    if matches!(figure.body, Body::Image { .. }) {
        values.shape.insert(0, 1);
    }
    Some(values)
}

/// A figure's picture as PNG, or its words.
fn shown(figure: &Figure) -> Result<Vec<u8>> {
    let Some(picture) = picture(figure) else {
        return Ok((render::text(figure, WIDTH).unwrap_or_default() + "\n").into_bytes());
    };
    let mut bytes = Cursor::new(vec![]);
    picture.write_to(&mut bytes, image::ImageFormat::Png).with_context(|| format!("drawing \"{}\"", figure.title))?;
    Ok(bytes.into_inner())
}

fn picture(figure: &Figure) -> Option<image::RgbImage> {
    render::paint(figure, Colormap::default())
}

/// File names of figures: by number and title; a title that comes again gets a number too.
fn names(figures: &[Figure]) -> Vec<Files> {
    let mut taken = BTreeSet::new();
    let name = |(i, figure): (usize, &Figure)| {
        let title = plain(&figure.title);
        let other = (2..).map(|n| format!("{title}-{n}"));
        let unique = std::iter::once(title.clone()).chain(other).find(|t| !taken.contains(t)).unwrap_or(title);
        taken.insert(unique.clone());
        let ending = if picture(figure).is_some() { "png" } else { "txt" };
        Files {
            shown: Some(format!("{:02}-{unique}.{ending}", i + 1)),
            raw: figure.values().map(|_| format!("{unique}.npy")),
        }
    };
    figures.iter().enumerate().map(name).collect()
}

/// A title as part of a file name.
fn plain(title: &str) -> String {
    let letter = |c: char| if c.is_alphanumeric() || "-_+.".contains(c) { c } else { '_' };
    let name: String = title.chars().take(80).map(letter).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "figure".into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(title: &str) -> Figure {
        Figure { title: title.into(), body: Body::Text { text: "x".into() } }
    }

    #[test]
    fn titles_become_file_names_that_stay_in_the_folder_and_differ() {
        let figures = [words("../a b"), words("map"), words("map"), words("")];
        let names: Vec<_> = names(&figures).into_iter().filter_map(|f| f.shown).collect();
        assert_eq!(names, ["01-_a_b.txt", "02-map.txt", "03-map-2.txt", "04-figure.txt"]);
    }
}
