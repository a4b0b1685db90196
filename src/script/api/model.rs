//! Functions of networks and their traces, such as `cx.model.forward(x)`, `trace["features.12"]` and `trace.top`.

use super::seed::Seed;
use super::{Guard, LabeledTrace, Out, classes, one_or_many, out};
use crate::explain::Relevance;
use crate::graph::{Graph, Node, NodeId, Scores};
use crate::model::{Ablation, FeaturePooling, Model};
use crate::tensor;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Engine, INT, Map};
use std::sync::Arc;

/// A function that maps logits `(N, classes)` and one class per row to one number per row.
type Asked = fn(Scores, &Tensor, &[usize]) -> Result<Tensor>;

/// Functions of logits and classes, by their names in scripts.
const ASKED: [(&str, Asked); 4] = [
    ("names", |scores, logits, classes| {
        let named = scores.names(logits, classes)?.into_iter().map(|yes| f64::from(u8::from(yes)));
        tensor::like(named.collect::<Vec<_>>(), logits.dims()[0], logits)
    }),
    ("margin", Scores::margin),
    ("score", Scores::score),
    ("cross_entropy", Scores::loss),
];

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    model(engine, guard);
    scores(engine);
}

fn model(engine: &mut Engine, guard: &Arc<Guard>) {
    let g = guard.clone();
    engine.register_fn("forward", move |m: &mut Model, x: Tensor| out(LabeledTrace::forward(&g, m, &x)));
    let g = guard.clone();
    engine.register_fn("logits", move |m: &mut Model, x: Tensor| out(LabeledTrace::scores(&g, m, &x)));
    let g = guard.clone();
    engine.register_fn("named", move |m: &mut Model, x: Tensor| out(LabeledTrace::named(&g, m, &x)));
    let g = guard.clone();
    engine.register_fn("right", move |m: &mut Model, x: Tensor, labels: Dynamic| {
        out(classes(&labels).and_then(|labels| LabeledTrace::right(&g, m, &x, &labels)))
    });
    engine.register_get("name", |m: &mut Model| m.card.name.clone());
    engine.register_get("classes", |m: &mut Model| m.classes() as INT);
    engine.register_get("labels", |m: &mut Model| -> Array {
        (0..m.classes()).map(|c| m.card.label(c).into()).collect()
    });
    engine.register_get("output", |m: &mut Model| m.graph.nodes[m.graph.logits].name.clone());
    engine.register_fn("class", |m: &mut Model, name: &str| {
        out(m.card.class(name, m.classes()).map(|class| class as INT))
    });
    engine.register_fn("label", |m: &mut Model, class: INT| m.card.label(usize::try_from(class).unwrap_or(usize::MAX)));
    engine.register_get("layers", |m: &mut Model| -> Array {
        m.graph.nodes.iter().map(|n| n.name.clone().into()).collect()
    });
    engine.register_fn("layer", |m: &mut Model, name: &str| out(m.graph.node(name).map(|node| facts(&m.graph, node))));
    engine.register_fn("channel_dim", |m: &mut Model, layer: &str| {
        out(m.graph.find(layer).map(|id| m.graph.channel_dim(id) as INT))
    });
    engine.register_fn("folded", |m: &mut Model| -> Out<Model> {
        out(m.graph.folded().map(|graph| Model { graph, ..m.clone() }))
    });
    engine.register_fn("ablated", |m: &mut Model, units: Array| -> Out<Model> { out(ablated(m, &units)) });
    engine.register_get("first", |m: &mut Model| -> Array {
        m.graph.first_with_weights().map(|n| n.name.clone().into()).collect()
    });
    engine.register_get("mean", |m: &mut Model| out(per_channel(m, &m.card.mean)));
    engine.register_get("std", |m: &mut Model| out(per_channel(m, &m.card.std)));
}

/// The network with some units set to zero, given as in `--ablate`.
fn ablated(model: &Model, units: &Array) -> Result<Model> {
    let read = |unit: &Dynamic| Ablation::parse_list(&super::options::text(unit)?);
    let units = units.iter().map(read).collect::<Result<Vec<_>>>()?.concat();
    model.ablated(&units)
}

/// Registers functions of class scores, such as `cx.model.margin(logits, class)`, which take one class for all rows or one class
/// per row.
fn scores(engine: &mut Engine) {
    engine.register_get("scores", |m: &mut Model| m.graph.scores.name());
    engine.register_fn("probabilities", |m: &mut Model, logits: Tensor| out(m.graph.scores.probabilities(&logits)));
    for (name, ask) in ASKED {
        engine.register_fn(name, move |m: &mut Model, logits: Tensor, class: Dynamic| {
            out(classes(&class).and_then(|classes| ask(m.graph.scores, &logits, &classes)))
        });
    }
    engine.register_fn("class_scores", |m: &mut Model, value: Tensor| out(m.graph.scores.logits(&value)));
}

/// Describes a layer as `#{ name, kind, shape, inputs, parameters, formula }`; the shape omits the batch dimension.
pub(super) fn facts(graph: &Graph, node: &Node) -> Map {
    let inputs: Array = node.inputs.iter().map(|&i| graph.nodes[i].name.clone().into()).collect();
    let shape: Array = node.shape[1..].iter().map(|&n| Dynamic::from(n as INT)).collect();
    Map::from([
        ("name".into(), node.name.clone().into()),
        ("kind".into(), node.op.kind().into()),
        ("shape".into(), shape.into()),
        ("inputs".into(), inputs.into()),
        ("formula".into(), node.parameter_formula().into()),
        ("parameters".into(), Dynamic::from(node.parameter_count() as INT)),
    ])
}

/// Converts a list with one number per channel to a tensor `(1, C, 1, 1)` in the model's dtype.
fn per_channel(model: &Model, values: &[f64]) -> Result<Tensor> {
    let like = Tensor::zeros((), model.graph.dtype(), &model.graph.device())?;
    tensor::like(values, (1, values.len(), 1, 1), &like)
}

/// Registers the functions and properties of traces.
pub(super) fn trace(engine: &mut Engine) {
    engine.register_fn("names", |t: &mut LabeledTrace, class: Dynamic| {
        out(classes(&class).and_then(|classes| ASKED[0].1(t.trace.graph.scores, &t.trace.scores()?, &classes)))
    });
    engine.register_get("scores", |t: &mut LabeledTrace| t.trace.graph.scores.name());
    engine.register_fn("class_score", |t: &mut LabeledTrace, class: Dynamic| {
        out(classes(&class).and_then(|classes| t.trace.graph.scores.score(&t.trace.scores()?, &classes)))
    });
    engine.register_indexer_get(|t: &mut LabeledTrace, layer: &str| out(t.trace.get(layer).cloned()));
    engine.register_fn("maps", |t: LabeledTrace, layer: &str| {
        out(t.trace.get(layer).cloned().and_then(|value| maps(&t, layer, &value)))
    });
    engine.register_fn("maps", |t: LabeledTrace, layer: &str, value: Tensor| out(maps(&t, layer, &value)));
    engine.register_fn("channels_first", |t: LabeledTrace, layer: &str| {
        out(t.trace.get(layer).cloned().and_then(|value| channels_first(&t, layer, &value)))
    });
    engine.register_fn("channels_first", |t: LabeledTrace, layer: &str, value: Tensor| {
        out(channels_first(&t, layer, &value))
    });
    engine.register_fn("pooled", |t: LabeledTrace, layer: &str, pool: &str| {
        out(t.trace.get(layer).cloned().and_then(|value| pooled(&t, layer, &value, pool)))
    });
    engine.register_get("input", |t: &mut LabeledTrace| t.trace.input().clone());
    engine.register_get("logits", |t: &mut LabeledTrace| out(t.trace.scores()));
    engine.register_get("probabilities", |t: &mut LabeledTrace| out(t.probabilities()));
    engine.register_get("top", |t: &mut LabeledTrace| out(t.top()).map(|top| one_or_many(&top)));
    engine.register_fn("logit", |_: &mut LabeledTrace, class: Dynamic| out(classes(&class).map(Seed::Logit)));
    engine.register_fn("probability", |t: &mut LabeledTrace, class: INT| {
        out(t.probabilities().and_then(|p| of_class(&p, class)))
    });
    engine.register_fn("score", |t: &mut LabeledTrace, class: INT| out(score(t, class)));
    engine.register_fn("site", |t: &mut LabeledTrace, layer: &str| {
        out(t.trace.graph.find(layer).map(|id| t.trace.site(id)))
    });
}

/// Rearranges a tensor that has the shape of a layer's value to feature maps `(N, K, h, w)`.
fn maps(run: &LabeledTrace, layer: &str, value: &Tensor) -> Result<Tensor> {
    let graph = &run.trace.graph;
    let (id, shape) = own_shape(run, layer, value)?;
    graph.map_layout(id, &shape, run.picture())?.arrange(value)
}

/// Rearranges a tensor that has the shape of a layer's value to feature maps `(N, K, h, w)` if the layer's values have known positions,
/// otherwise to `(N, K, …)`.
fn channels_first(run: &LabeledTrace, layer: &str, value: &Tensor) -> Result<Tensor> {
    let (id, _) = own_shape(run, layer, value)?;
    run.trace.graph.channels_first(id, value, run.picture())
}

/// Reduces a layer's value to one feature vector per picture, like `features`.
fn pooled(run: &LabeledTrace, layer: &str, value: &Tensor, pool: &str) -> Result<Tensor> {
    let pool: FeaturePooling = pool.parse()?;
    if pool == FeaturePooling::Flat { pool.rows(value) } else { pool.rows(&channels_first(run, layer, value)?) }
}

/// The ID of a layer, and the shape of its value in this forward pass. Errors if `value` has a different shape, apart from the batch size.
fn own_shape(run: &LabeledTrace, layer: &str, value: &Tensor) -> Result<(NodeId, Vec<usize>)> {
    let id = run.trace.graph.find(layer)?;
    let shape = run.trace.dims(id)?;
    ensure!(
        value.dims()[1..] == shape[1..],
        "got a tensor of shape {:?} for a layer whose output has shape {shape:?}",
        value.dims()
    );
    Ok((id, shape))
}

impl LabeledTrace {
    /// Height and width of the pictures in this forward pass; 1 for a dimension that the input lacks.
    pub(super) fn picture(&self) -> (usize, usize) {
        let dims = self.trace.input().dims();
        (dims.get(2).copied().unwrap_or(1), dims.get(3).copied().unwrap_or(1))
    }
}

/// The score of a class for the first picture.
fn score(run: &LabeledTrace, class: INT) -> Result<f64> {
    let first = run.trace.scores()?.narrow(0, 0, 1)?;
    super::reduce::item(&run.trace.graph.scores.score(&first, &[super::size(class, "a class")?])?)
}

/// Selects the value of a class for the first picture from `values`, `(N, classes)`. Errors if there is no such class.
fn of_class(values: &Tensor, class: INT) -> Result<f64> {
    let (_, classes) = values.dims2()?;
    ensure!((0..classes as INT).contains(&class), "no class {class}; the network has {classes} classes");
    super::reduce::item(&values.narrow(0, 0, 1)?.narrow(1, class as usize, 1)?)
}

/// Registers the functions and properties of gradients and relevance, which are looked up by layer.
pub(super) fn relevance(engine: &mut Engine) {
    engine.register_get("input", |r: &mut Relevance| out(r.input().cloned()));
    engine.register_indexer_get(|r: &mut Relevance, layer: &str| out(r.get(layer).cloned()));
    engine.register_get("layers", |r: &mut Relevance| -> Array {
        r.values.keys().map(|&id| r.graph.nodes[id].name.clone().into()).collect()
    });
    engine.register_get("params", |r: &mut Relevance| -> Map {
        r.params.iter().map(|(name, t)| (name.as_str().into(), Dynamic::from(t.clone()))).collect()
    });
}
