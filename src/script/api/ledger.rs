//! Functions that show where relevance went and which rule applies at which layer: `ledger(rel)`, `balance(rel)`,
//! `coverage(model, rules)`, `uncovered(model, rules)`.

use super::backward::composite;
use super::{Guard, out};
use crate::explain::{Composite, END, LedgerEntry, Relevance};
use crate::graph::{Graph, Node, NodeId, op};
use crate::model::Model;
use crate::render::{Body, Figure};
use anyhow::{Result, ensure};
use rhai::{Array, Dynamic, Engine, Map, NativeCallContext};
use std::sync::Arc;

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    engine.register_fn("ledger", |r: Relevance| out(ledger(&r)));
    engine.register_fn("balance", |r: Relevance| out(balance(&r)));
    let g = guard.clone();
    engine.register_fn("coverage", move |context: NativeCallContext, model: Model, rules: Dynamic| {
        out(composite(&g, &context, &model.graph, Some(&rules)).map(|c| coverage(&model.graph, &c)))
    });
    let g = guard.clone();
    engine.register_fn("uncovered", move |context: NativeCallContext, model: Model, rules: Dynamic| {
        out(composite(&g, &context, &model.graph, Some(&rules)).map(|c| uncovered(&model.graph, &c)))
    });
}

/// The totals of the relevance ledger, `#{ start, reached, bias, epsilon, missing, other }`; `start` is the sum of the other
/// entries.
fn balance(relevance: &Relevance) -> Result<Map> {
    check(relevance)?;
    let (ends, passed): (Vec<_>, Vec<_>) = relevance.ledger.values().partition(|e| e.rule == END);
    let sum = |of: fn(&LedgerEntry) -> f64| passed.iter().map(|e| of(e)).sum::<f64>();
    let reached = ends.iter().map(|e| e.into).sum::<f64>();
    let kept = [
        ("bias", sum(|e| e.kept.bias)),
        ("epsilon", sum(|e| e.kept.stabilizer)),
        ("missing", sum(|e| e.kept.missing)),
        ("other", sum(LedgerEntry::other)),
    ];
    let start = reached + kept.iter().map(|(_, v)| v).sum::<f64>();
    let all = kept.into_iter().chain([("start", start), ("reached", reached)]);
    Ok(all.map(|(name, v)| (name.into(), Dynamic::from(v))).collect())
}

fn check(relevance: &Relevance) -> Result<()> {
    ensure!(!relevance.ledger.is_empty(), "a gradient has no ledger; pass rules to backward()");
    Ok(())
}

/// A table of the relevance that enters and leaves each layer and of the amounts lost there, from the seed to the input.
fn ledger(relevance: &Relevance) -> Result<Figure> {
    check(relevance)?;
    let row = |(id, e): (&NodeId, &LedgerEntry)| {
        let kept = [e.kept.bias, e.kept.stabilizer, e.kept.missing, e.other()];
        let exact = [e.into, e.out].map(amount);
        std::iter::once(relevance.graph.nodes[*id].name.clone())
            .chain(exact)
            .chain(kept.map(|v| short(v, e.into)))
            .collect()
    };
    let columns = ["layer", "in", "out", "bias", "epsilon", "missing", "other"].map(String::from).to_vec();
    let rows = relevance.ledger.iter().rev().map(row).collect();
    Ok(Figure::new("ledger", Body::Table { columns, rows }))
}

/// Formats an amount of relevance with six decimals; nonzero amounts below 1e-3 in magnitude get four significant digits.
fn amount(value: f64) -> String {
    if value == 0.0 || value.abs() >= 1e-3 { format!("{:.6}", value + 0.0) } else { format!("{value:.3e}") }
}

/// Formats `value`, a part of the amount `whole`; returns `·` if it is negligible compared with `whole`.
fn short(value: f64, whole: f64) -> String {
    if value.abs() <= 1e-7 * whole.abs().max(1e-30) { "·".into() } else { format!("{value:.3e}") }
}

/// A table of the rule that applies at each layer between the class scores and the input.
fn coverage(graph: &Graph, composite: &Composite) -> Figure {
    let row = |node: &Node| {
        let mark = if is_uncovered(node, composite) { "! no rule" } else { "" };
        vec![node.name.clone(), node.op.kind().into(), composite.name(node).into(), mark.into()]
    };
    let rows = passed(graph).map(row).collect();
    let columns = ["layer", "kind", "rule", ""].map(String::from).to_vec();
    Figure::new("coverage", Body::Table { columns, rows })
}

/// Names of the layers that change values but have no rule; relevance is propagated through them like a gradient.
fn uncovered(graph: &Graph, composite: &Composite) -> Array {
    passed(graph).filter(|node| is_uncovered(node, composite)).map(|node| node.name.clone().into()).collect()
}

fn is_uncovered(node: &Node, composite: &Composite) -> bool {
    composite.rule(node).is_none() && node.op.spec().relevance != op::DefaultRule::Move
}

/// The layers through which relevance passes, from the class scores to the input. Nodes that do not depend on the input, such as
/// parameters, are excluded.
fn passed(graph: &Graph) -> impl Iterator<Item = &Node> {
    let mut needed = vec![false; graph.nodes.len()];
    needed[graph.logits] = true;
    for id in (0..graph.nodes.len()).rev().filter(|&id| id <= graph.logits) {
        if needed[id] {
            graph.nodes[id].inputs.iter().for_each(|&i| needed[i] = true);
        }
    }
    (0..graph.nodes.len()).rev().filter(move |&id| needed[id] && graph.depends_on_input(id)).map(|id| &graph.nodes[id])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_amounts_keep_their_digits() {
        let written = [0.0, -0.0, 23.730_510_7, -0.25, 1.5e-9, -4e-30, f64::NAN].map(amount);
        assert_eq!(written, ["0.000000", "0.000000", "23.730511", "-0.250000", "1.500e-9", "-4.000e-30", "NaN"]);
        assert_eq!([short(1e-9, 1.0), short(1e-3, 1.0), short(0.0, 0.0)], ["·", "1.000e-3", "·"]);
    }
}
