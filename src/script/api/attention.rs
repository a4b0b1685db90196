//! Functions that describe transformers: `model.attention`, `model.class_token`, `trace.token_grid(tokens)` and `trace.layout("layer")`.

use super::{LabeledTrace, out, size};
use crate::graph::{Attention, Graph, MapLayout};
use crate::model::Model;
use anyhow::Result;
use rhai::{Array, Dynamic, Engine, INT, Map};

pub(super) fn register(engine: &mut Engine) {
    engine.register_get("attention", |m: &mut Model| -> Array {
        m.graph.attention().into_iter().map(|layer| Dynamic::from_map(attention(&m.graph, layer))).collect()
    });
    engine.register_get("class_token", |m: &mut Model| {
        m.graph.class_token().map_or(Dynamic::UNIT, |token| Dynamic::from(token as INT))
    });
}

/// Registers the functions of traces.
pub(super) fn trace(engine: &mut Engine) {
    engine.register_fn("token_grid", |t: &mut LabeledTrace, tokens: INT| out(token_grid(t, tokens)));
    engine.register_fn("layout", |t: &mut LabeledTrace, layer: &str| out(layout(t, layer)));
}

/// Describes an attention layer as `#{ weights, scores, product, queries, keys, values, windows, heads, tokens, sources }`: the names
/// of its nodes, and the dimensions of the attention weights, whose shape is `(N, windows, heads, tokens, sources)`. The shape lacks the
/// dimension `windows` if attention is not windowed.
fn attention(graph: &Graph, layer: Attention) -> Map {
    let name = |id: usize| Dynamic::from(graph.nodes[id].name.clone());
    let sizes = layer.sizes(graph);
    let size = |n: usize| Dynamic::from(n as INT);
    Map::from([
        ("weights".into(), name(layer.weights)),
        ("scores".into(), name(layer.scores)),
        ("product".into(), name(layer.product)),
        ("queries".into(), name(layer.queries)),
        ("keys".into(), name(layer.keys)),
        ("values".into(), name(layer.values)),
        ("windows".into(), size(sizes.windows)),
        ("heads".into(), size(sizes.heads)),
        ("tokens".into(), size(sizes.tokens)),
        ("sources".into(), size(sizes.sources)),
    ])
}

/// The grid in which `tokens` tokens are arranged, as `#{ prefix, h, w }`.
fn token_grid(run: &LabeledTrace, tokens: INT) -> Result<Map> {
    let graph = &run.trace.graph;
    graph.token_grid(graph.logits, size(tokens, "a number of tokens")?, run.picture()).map(grid)
}

/// The grid in which a layer's tokens are arranged, as `#{ prefix, h, w }`; `()` if the layer does not output tokens.
fn layout(run: &LabeledTrace, layer: &str) -> Result<Dynamic> {
    let graph = &run.trace.graph;
    let id = graph.find(layer)?;
    let layout = graph.map_layout(id, &run.trace.dims(id)?, run.picture());
    Ok(match layout {
        Ok(tokens @ MapLayout::Tokens { .. }) => Dynamic::from_map(grid(tokens)),
        _ => Dynamic::UNIT,
    })
}

fn grid(layout: MapLayout) -> Map {
    let MapLayout::Tokens { prefix, h, w } = layout else { return Map::new() };
    let size = |n: usize| Dynamic::from(n as INT);
    Map::from([("prefix".into(), size(prefix)), ("h".into(), size(h)), ("w".into(), size(w))])
}
