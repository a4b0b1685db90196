//! `gradscope models`, `layers` and `classes`: tables, or JSON.

use super::args::{HostArgs, LayerListArgs, LayersArgs, TableArgs};
use super::{open, out};
use crate::render::{Body, Figure, text};
use crate::script::architecture::open_model::sources_without_weights;
use crate::script::architecture::{card, describe};
use crate::script::summary::{LayerRow, ModelCard, ModuleRow, modules};
use crate::tensor::shape_text;
use crate::words;
use anyhow::Result;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Lists the available architectures.
pub fn models(host_args: &HostArgs, args: &TableArgs) -> Result<ExitCode> {
    let host = open::host(host_args)?;
    let (rows, errors) = open::architectures(&host).list();
    errors.iter().for_each(|e| out::tell(&format!("warning: {}", super::usage::sentence(e))));
    if args.json {
        let row = |r| -> Value {
            let r: &crate::script::summary::ModelRow = r;
            json!({ "name": r.name, "summary": r.summary, "weights": r.weights })
        };
        return as_json(rows.iter().map(row).collect());
    }
    let weights = |own: bool| if own { "built in" } else { "-w FILE" };
    let cells = rows.iter().map(|r| vec![named(&r.name), weights(r.weights).into(), r.summary.clone()]);
    as_table(&["model", "weights", "summary"], cells.collect())
}

/// Lists the layers of a network, or its modules.
pub fn layers(host_args: &HostArgs, args: &LayerListArgs) -> Result<ExitCode> {
    let card = network(host_args, &args.table)?;
    if args.modules {
        return list_modules(&modules(&card.layers), args.table.json);
    }
    if args.table.json {
        let row =
            |l: &LayerRow| json!({ "name": l.name, "kind": l.kind, "shape": l.shape, "parameters": l.parameters });
        return as_json(card.layers.iter().map(row).collect());
    }
    let cells = |l: &LayerRow| vec![named(&l.name), l.kind.clone(), shape_text(&l.shape), l.parameters.to_string()];
    as_table(&["layer", "kind", "shape", "parameters"], card.layers.iter().map(cells).collect())
}

fn list_modules(modules: &[ModuleRow], json: bool) -> Result<ExitCode> {
    if json {
        let row = |m: &ModuleRow| json!({ "name": m.name, "output": m.output, "kind": m.kind, "shape": m.shape, "parameters": m.parameters });
        return as_json(modules.iter().map(row).collect());
    }
    let cells = |m: &ModuleRow| {
        vec![named(&m.name), named(&m.output), m.kind.clone(), shape_text(&m.shape), m.parameters.to_string()]
    };
    as_table(&["module", "output", "kind", "shape", "parameters"], modules.iter().map(cells).collect())
}

/// Lists the classes of a network.
pub fn classes(host_args: &HostArgs, args: &LayersArgs) -> Result<ExitCode> {
    let card = network(host_args, args)?;
    let rows = card.labels.iter().enumerate();
    if args.json {
        return as_json(rows.map(|(class, label)| json!({ "class": class, "label": label })).collect());
    }
    as_table(&["class", "label"], rows.map(|(class, label)| vec![class.to_string(), named(label)]).collect())
}

/// Describes a network. An architecture without weights is described without opening any weight file.
fn network(host_args: &HostArgs, args: &LayersArgs) -> Result<ModelCard> {
    let host = open::host(host_args)?;
    let of = &args.network;
    if let (Some(name), None) = (&of.model, &of.weights)
        && let sources = sources_without_weights(name, &of.card.values()?)?
        && let Ok((card, graph)) = open::architectures(&host).build_with(name, &sources)
    {
        return Ok(describe(&card, &graph));
    }
    Ok(card(&open::model(&host, of)?))
}

pub(super) fn named(name: &str) -> String {
    words::name(name).into_owned()
}

pub(super) fn as_json(rows: Vec<Value>) -> Result<ExitCode> {
    out::json(&rows.into())?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn as_table(columns: &[&str], rows: Vec<Vec<String>>) -> Result<ExitCode> {
    let columns = columns.iter().map(ToString::to_string).collect();
    let figure = Figure::new(String::new(), Body::Table { columns, rows });
    out::say(&text(&figure, usize::MAX).unwrap_or_default())?;
    Ok(ExitCode::SUCCESS)
}
