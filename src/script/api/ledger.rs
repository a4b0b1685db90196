//! Where relevance went, and which rule holds where: `ledger(rel)`, `coverage(model, rules)`, `uncovered(model, rules)`.

use super::backward::composite;
use super::{Guard, out};
use crate::backward::{Composite, Entry, Relevance};
use crate::graph::{Graph, Node, NodeId};
use crate::model::Model;
use crate::render::{Body, Figure};
use anyhow::{Result, ensure};
use rhai::{Array, Dynamic, Engine, NativeCallContext};
use std::sync::Arc;

/// Kinds for which the gradient is a rule of relevance: what only moves values about, or chooses among them.
const MOVING: [&str; 8] = ["input", "max_pool", "concat", "flatten", "reshape", "slice", "pad", "dropout"];

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    engine.register_fn("ledger", |r: Relevance| out(ledger(&r)));
    let g = guard.clone();
    engine.register_fn("coverage", move |context: NativeCallContext, model: Model, rules: Dynamic| {
        out(composite(&g, &context, &model.graph, Some(&rules)).map(|c| coverage(&model.graph, &c)))
    });
    let g = guard.clone();
    engine.register_fn("uncovered", move |context: NativeCallContext, model: Model, rules: Dynamic| {
        out(composite(&g, &context, &model.graph, Some(&rules)).map(|c| uncovered(&model.graph, &c)))
    });
}

/// The accounts of all layers from the seed to the input.
fn ledger(relevance: &Relevance) -> Result<Figure> {
    ensure!(!relevance.ledger.is_empty(), "a gradient has no ledger; relevance by rules has");
    let row = |(id, e): (&NodeId, &Entry)| {
        let kept = [e.kept.bias, e.kept.stabilizer, e.kept.missing, e.other()];
        let exact = [format!("{:.6}", e.into), format!("{:.6}", e.out)];
        std::iter::once(relevance.graph.nodes[*id].name.clone())
            .chain(exact)
            .chain(kept.map(|v| short(v, e.into)))
            .collect()
    };
    let columns = ["layer", "in", "out", "bias", "epsilon", "missing", "other"].map(String::from).to_vec();
    let rows = relevance.ledger.iter().rev().map(row).collect();
    Ok(Figure { title: "ledger".into(), body: Body::Table { columns, rows } })
}

/// A part of an account; what is nothing beside the whole is a point.
fn short(value: f64, whole: f64) -> String {
    if value.abs() <= 1e-7 * whole.abs().max(1e-30) { "·".into() } else { format!("{value:.3e}") }
}

/// Which rule holds at each layer between the class scores and the input.
fn coverage(graph: &Graph, composite: &Composite) -> Figure {
    let row = |node: &Node| {
        let mark = if is_uncovered(node, composite) { "! no rule" } else { "" };
        vec![node.name.clone(), node.op.kind().into(), composite.name(node).into(), mark.into()]
    };
    let rows = passed(graph).map(row).collect();
    let columns = ["layer", "kind", "rule", ""].map(String::from).to_vec();
    Figure { title: "coverage".into(), body: Body::Table { columns, rows } }
}

/// Names of the layers that change values and have no rule, so that the plain gradient stands in.
fn uncovered(graph: &Graph, composite: &Composite) -> Array {
    passed(graph).filter(|node| is_uncovered(node, composite)).map(|node| node.name.clone().into()).collect()
}

fn is_uncovered(node: &Node, composite: &Composite) -> bool {
    composite.rule(node).is_none() && !MOVING.contains(&node.op.kind())
}

/// The layers that relevance passes, from the class scores to the input.
fn passed(graph: &Graph) -> impl Iterator<Item = &Node> {
    let mut needed = vec![false; graph.nodes.len()];
    needed[graph.logits] = true;
    for id in (0..graph.nodes.len()).rev().filter(|&id| id <= graph.logits) {
        if needed[id] {
            graph.nodes[id].inputs.iter().for_each(|&i| needed[i] = true);
        }
    }
    graph.nodes.iter().zip(needed).rev().filter(|(_, needed)| *needed).map(|(node, _)| node)
}
