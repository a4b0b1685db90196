//! The entries of figures in `result.json`.

use super::names::Files;
use super::npy::array_bytes;
use super::typed::cell;
use crate::data::sha256;
use crate::render::{self, Array, Body, ClassRow, Figure};
use serde_json::{Value, json};

/// Describes a figure and names its files. Figures without raw values contain their numbers or text.
pub(super) fn figure(figure: &Figure, files: &Files) -> Value {
    let range = figure.values().and_then(Array::range).map(|(low, high)| json!([low, high]));
    let scale = render::range(figure).filter(|r| !r.is_empty());
    let scale = scale.map(|r| json!({ "low": r.low, "high": r.high, "chosen": r.chosen }));
    // An array that cannot be encoded is reported when its file is written.
    let bytes = array_bytes(figure).and_then(Result::ok);
    let mut all = json!({
        "title": figure.title,
        "kind": kind(&figure.body),
        "file": files.shown.first(),
        "raw": files.raw.first(),
        "other": files.other,
        "shape": figure.values().map(|_| shape(figure)),
        "range": range,
        "unit": unit(figure),
        "sha256": bytes.map(|bytes| sha256(&bytes)),
        "not_finite": figure.not_finite().0,
        "scale": scale,
    });
    match &figure.body {
        Body::Map { note, .. } if !note.is_empty() => all["note"] = note.as_str().into(),
        Body::Montage { shown, of, .. } if shown < of => all["shown"] = json!({ "drawn": shown, "of": of }),
        Body::Table { columns, rows } => {
            let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(|text| cell(text)).collect()).collect();
            all["table"] = json!({ "columns": columns, "rows": rows });
        }
        Body::Classes { rows, .. } => all["classes"] = rows.iter().map(class).collect(),
        Body::Bars { bars } => {
            all["bars"] = bars.iter().map(|bar| json!({ "label": bar.label, "value": bar.value })).collect();
        }
        Body::Line { axis, series } => {
            let curve = |s: &render::Series| json!({ "label": s.label, "points": s.points });
            all["line"] = json!({ "axis": axis, "series": series.iter().map(curve).collect::<Vec<_>>() });
        }
        Body::Text { text } => all["text"] = text.as_str().into(),
        Body::Badge { text, good } => all["badge"] = json!({ "text": text, "good": good }),
        _ => {}
    }
    all
}

/// The verdicts among the figures.
pub(super) fn badges(figures: &[Figure]) -> Vec<Value> {
    let badge = |figure: &Figure| match &figure.body {
        Body::Badge { text, good } => Some(json!({ "text": text, "good": good })),
        _ => None,
    };
    figures.iter().filter_map(badge).collect()
}

/// Describes a class with its probability and logit.
pub(super) fn class(row: &ClassRow) -> Value {
    json!({ "class": row.class, "label": row.label, "probability": row.probability, "logit": row.logit })
}

/// Shape of a figure's raw values, as in its `.npy` file.
fn shape(figure: &Figure) -> Vec<usize> {
    let shape = figure.values().map(|values| values.shape.clone()).unwrap_or_default();
    match figure.body {
        Body::Image { .. } => [&[1], &shape[..]].concat(),
        _ => shape,
    }
}

fn kind(body: &Body) -> &'static str {
    match body {
        Body::Map { .. } => "map",
        Body::Image { .. } => "image",
        Body::Montage { .. } => "montage",
        Body::Classes { .. } => "classes",
        Body::Bars { .. } => "bars",
        Body::Line { .. } => "line",
        Body::Scatter { .. } => "scatter",
        Body::Sheet { .. } => "sheet",
        Body::Table { .. } => "table",
        Body::Text { .. } => "text",
        Body::Badge { .. } => "badge",
    }
}

/// The unit of a figure's raw values, if it is known.
fn unit(figure: &Figure) -> Option<&str> {
    match &figure.body {
        Body::Map { .. } => figure.quantity.unit.as_ref().map(|unit| match unit.name.as_str() {
            "1/255" => "pixel value from 0 to 1, or difference of these",
            name => name,
        }),
        Body::Image { .. } => Some("pixel value from 0 to 1"),
        Body::Classes { .. } => Some("probability"),
        _ => None,
    }
}
