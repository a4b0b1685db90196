//! Builds `result.json`, which describes a run and its figures. `docs/result.schema.json` is its schema.

use super::date;
use super::figure_entry::{badges, class, figure};
use super::names::Files;
use super::typed::parameter;
use crate::backend::Accumulation;
use crate::data::{Dataset, sha256, source};
use crate::model::card;
use crate::model::{ClassMap, Model};
use crate::script::agreement::Agreement;
use crate::script::host::Host;
use crate::script::method::Method;
use crate::script::session::Session;
use crate::script::summary::Frame;
use crate::tensor::{device_text, numbers};
use anyhow::Result;
use serde_json::{Map, Value, json};

/// The version of the schema. It changes if a reader of the previous version could misread the file.
pub const SCHEMA: u64 = 1;

/// The contents of `result.json` for the current run and the figures in `frame`, without file names.
pub fn document(session: &Session, host: &Host, frame: &Frame) -> Result<Value> {
    with_files(session, host, frame, &vec![Files::default(); frame.figures.len()])
}

/// The contents of `result.json` for the current run and the figures in `frame`. `names` lists the files of each figure.
pub(super) fn with_files(session: &Session, host: &Host, frame: &Frame, names: &[Files]) -> Result<Value> {
    let model = session.model();
    let predicted = session.target().map(|class| json!({ "class": class, "label": model.card.label(class) }));
    let target = match session.expression() {
        Some(head) => Some(json!({ "expression": &*head.text, "value": head.value(session.input())? })),
        None => predicted,
    };
    let top: Vec<_> = session.classes(host, 5)?.iter().map(class).collect();
    let attacked = session.attacked_classes(host, 5)?;
    let attacked = attacked.map(|rows| rows.iter().map(class).collect::<Vec<_>>());
    let figures: Vec<_> = frame.figures.iter().zip(names).map(|(f, files)| figure(f, files)).collect();
    let method = session.method();
    let graph = method.map_or_else(|| model.graph.clone(), |m| m.exactly(model).graph);
    let command = session.command();
    let millis = session.millis();
    Ok(json!({
        "schema": SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("GRADSCOPE_COMMIT"),
        "date": date::now(),
        "command": command.map(|command| &command.words),
        "folder": command.and_then(|command| Some(command.folder.as_ref()?.to_string_lossy())),
        "method": method.map(|m| m.name.clone()),
        "script": method.map(script),
        "model": model.card.name,
        "weights": weights(session),
        "card": card::document(&model.card, true),
        "device": device_text(&graph.device()),
        "threads": rayon::current_num_threads(),
        "precision": graph.precision().to_string(),
        "exact": graph.accumulation() == Accumulation::Direct,
        "against_f32": session.agreement().map(Agreement::document),
        "picture": picture(session),
        "input": input(session)?,
        "data": session.data().opened().map(|set| data(set, model)),
        "seed": session.seed(),
        "parameters": typed(session, session.as_used()),
        "asked": typed(session, session.asked_otherwise()),
        "target": target,
        "ablated": session.ablated(),
        "scores": model.graph.scores.name(),
        "top5": top,
        "attacked_top5": attacked,
        "not_finite": session.unnamed().map_or(0, |why| why.scores.count()),
        "badges": badges(&frame.figures),
        "figures": figures,
        "steps": if method.is_some_and(|m| m.stepped) { steps(session) } else { vec![] },
        "done": frame.done,
        "notes": session.told().notes(),
        "timings": { "total_ms": millis.iter().sum::<f64>(), "last_step_ms": frame.millis, "steps_ms": millis },
    }))
}

/// The script of a method and the libraries that it imports, with the hashes of their source code.
fn script(method: &Method) -> Value {
    let libraries = method.libraries().iter().map(|(name, text)| (name.clone(), sha256(text.as_bytes()).into()));
    json!({
        "path": method.source.path.as_ref().map(|path| path.to_string_lossy()),
        "sha256": sha256(method.source.text.as_bytes()),
        "libraries": libraries.collect::<Map<_, _>>(),
    })
}

/// The hash of the weight file, the hub's name of the network, and how the weights were found in their file.
fn weights(session: &Session) -> Value {
    let model = session.intact();
    let hash = Some(&*model.hash).filter(|hash| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
    json!({
        "sha256": hash,
        "hub": (!model.card.sources.hub.is_empty()).then_some(&*model.card.sources.hub),
        "taken": (!model.taken.is_empty() && model.card.output.is_none()).then_some(&*model.taken),
    })
}

/// The picture before preprocessing.
fn picture(session: &Session) -> Value {
    let origin = session.origin();
    let size = origin.and_then(|origin| origin.size);
    json!({
        "name": session.picture(),
        "source": origin.map(|origin| &*origin.source),
        "path": origin.and_then(|origin| Some(origin.path.as_ref()?.to_string_lossy())),
        "file": source::file(session.picture()),
        "height": size.map(|[height, _]| height),
        "width": size.map(|[_, width]| width),
        "sha256": origin.and_then(|origin| origin.sha256.as_ref()),
    })
}

/// The input of the network, before its normalization. The hash is that of the values as little-endian f32.
fn input(session: &Session) -> Result<Value> {
    let values = numbers(session.input())?;
    let bytes: Vec<u8> = values.into_iter().flat_map(|v| (v as f32).to_le_bytes()).collect();
    Ok(json!({ "shape": session.input().dims(), "sha256": sha256(&bytes) }))
}

/// Parameters by name, as JSON values of their kinds.
fn typed(session: &Session, values: Vec<(String, String)>) -> Map<String, Value> {
    let rows = session.params().rows(session.model());
    let value = |(name, text): (String, String)| {
        let row = rows.iter().find(|row| row.name == name);
        let value = row.map_or_else(|| text.as_str().into(), |row| parameter(&row.kind, &text));
        (name, value)
    };
    values.into_iter().map(value).collect()
}

/// The scalars of each step. A value that is not finite is null and listed under `not_finite_values`.
fn steps(session: &Session) -> Vec<Value> {
    let step = |(step, numbers): (usize, Vec<(String, f64)>)| {
        let not_finite = numbers.iter().filter(|(_, value)| !value.is_finite());
        let not_finite: Map<_, _> = not_finite.map(|(name, value)| (name.clone(), json!(value.to_string()))).collect();
        let numbers = numbers.into_iter().map(|(name, value)| (name, json!(value)));
        let mut all: Map<_, _> = std::iter::once(("step".to_string(), json!(step))).chain(numbers).collect();
        if !not_finite.is_empty() {
            all.insert("not_finite_values".into(), not_finite.into());
        }
        Value::Object(all)
    };
    session.scalars().into_iter().enumerate().map(step).collect()
}

/// Describes a data set, including how its classes were matched to the network's, if they match.
fn data(set: &Dataset, model: &Model) -> Value {
    let map = ClassMap::matched(set, &model.card, model.classes());
    json!({ "name": set.name, "pictures": set.len(), "labels": map.ok().map(|map| map.by.to_string()) })
}
