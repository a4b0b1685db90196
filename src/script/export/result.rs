//! Builds `result.json`, which describes a run and its figures.

use super::names::Files;
use crate::backend::Accumulation;
use crate::data::{Dataset, source};
use crate::model::card;
use crate::model::{ClassMap, Model};
use crate::render::{self, Array, Body, ClassRow, Figure};
use crate::script::agreement::Agreement;
use crate::script::host::Host;
use crate::script::session::Session;
use crate::script::summary::Frame;
use crate::tensor::device_text;
use anyhow::Result;
use serde_json::{Map, Value, json};

/// The contents of `result.json` for the current run and the figures in `frame`, without file names.
pub fn document(session: &Session, host: &Host, frame: &Frame) -> Result<Value> {
    with_files(session, host, frame, &vec![Files::default(); frame.figures.len()])
}

/// The contents of `result.json` for the current run and the figures in `frame`. `names` lists the files of each figure.
pub(super) fn with_files(session: &Session, host: &Host, frame: &Frame, names: &[Files]) -> Result<Value> {
    let model = session.model();
    let texts = |pairs: Vec<(String, String)>| pairs.into_iter().map(|(name, text)| (name, text.into())).collect();
    let (parameters, asked): (Map<_, _>, Map<_, _>) = (texts(session.as_used()), texts(session.asked_otherwise()));
    let predicted = session.target().map(|class| json!({ "class": class, "label": model.card.label(class) }));
    let target = match session.expression() {
        Some(head) => Some(json!({ "expression": &*head.text, "value": head.value(session.input())? })),
        None => predicted,
    };
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
    let graph = method.map_or_else(|| model.graph.clone(), |m| m.exactly(model).graph);
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "method": method.map(|m| m.name.clone()),
        "model": model.card.name,
        "hub": (!model.card.sources.hub.is_empty()).then_some(&*model.card.sources.hub),
        "weights": &*model.hash,
        "weights_taken": (!model.taken.is_empty() && model.card.output.is_none()).then_some(&*model.taken),
        "card": card::document(&model.card, true),
        "device": device_text(&graph.device()),
        "precision": graph.precision().to_string(),
        "exact": graph.accumulation() == Accumulation::Direct,
        "against_f32": session.agreement().map(Agreement::document),
        "picture": session.picture(),
        "file": source::file(session.picture()),
        "data": session.data().opened().map(|set| data(set, model)),
        "seed": session.seed(),
        "parameters": parameters,
        "asked": asked,
        "target": target,
        "ablated": session.ablated(),
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

/// Describes a data set for `result.json`, including how its classes were matched to the network's, if they match.
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
        "file": files.shown.first(),
        "raw": files.raw.first(),
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
