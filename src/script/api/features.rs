//! The function `features(cx, #{ layer: "avgpool" })`, which computes a layer's features for the pictures of a data set.

use super::data::{Pictures, numbers};
use super::options::CallOptions;
use super::{Guard, out};
use crate::data::Dataset;
use crate::graph::NodeId;
use crate::model::{FeaturePooling, Features, Model};
use crate::script::method::context::Cx;
use crate::script::sandbox::bounded_text;
use anyhow::{Context, Result};
use candle_core::Tensor;
use rhai::{Engine, Map};
use std::sync::Arc;

/// Number of pictures whose tokens are held in memory at a time.
const CHUNK: usize = 64;

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    let g = guard.clone();
    engine.register_fn("features", move |cx: Cx, options: Map| out(features(&g, &cx, &options)));
    engine.register_fn("pooled", |value: Tensor, pool: &str| {
        out(pool.parse::<FeaturePooling>().and_then(|p| p.rows(&value)))
    });
}

/// The features of a layer for pictures of a data set, `(pictures, D)`. They are cached on disk, keyed by network, weights, layer and
/// pictures, unless they are pooled over tokens.
///
/// Options: `layer`; `pool`, one of `"mean"`, `"max"` and `"flat"` [default: `"mean"`]; `pictures`, a tensor of indices [default: all
/// pictures]; `model`; `data`.
fn features(guard: &Guard, cx: &Cx, map: &Map) -> Result<Tensor> {
    let o = CallOptions::new("features", map.clone(), &["layer", "pool", "pictures", "model", "data"])?;
    let data: Arc<Dataset> = match o.raw("data") {
        Some(given) => given.clone().try_cast::<Pictures>().context("`data` of features must be a data set")?.set,
        None => cx.data.get()?,
    };
    let model = match o.raw("model") {
        Some(given) => given.clone().try_cast::<Model>().context("`model` of features must be a network")?,
        None => cx.model.clone(),
    };
    let which = match o.raw("pictures") {
        Some(given) => {
            numbers(&given.clone().try_cast::<Tensor>().context("`pictures` of features must be a tensor")?)?
        }
        None => (0..data.len()).collect(),
    };
    let layer = o.raw("layer").context("features needs the option layer: #{ layer: \"…\" }").map(bounded_text::text)?;
    let pool = o.raw("pool").map_or(Ok(FeaturePooling::Mean), |name| bounded_text::text(name).parse())?;
    let asked = Features { model: &model, data: &data, layer: &layer, pool, numbers: &which };
    guard.reserve(&[which.len(), asked.width()?], 8)?;
    let mut on = |done| {
        cx.observer.progress("pictures", done, which.len());
        guard.tick()
    };
    let id = model.graph.find(&layer)?;
    if pool == FeaturePooling::Flat || model.graph.channel_dim(id) == 1 {
        return asked.rows(guard.cache(), &mut on);
    }
    let mut rows = vec![];
    for (i, numbers) in which.chunks(CHUNK).enumerate() {
        let part = Features { numbers, ..asked.clone() };
        rows.push(pooled_by_channel(&part, id, &mut |done| on(i * CHUNK + done))?);
    }
    Ok(Tensor::cat(&rows, 0)?)
}

/// The features of a layer whose channel dimension is not 1, such as a layer of tokens, pooled over its positions.
fn pooled_by_channel(asked: &Features, id: NodeId, on: &mut dyn FnMut(usize) -> Result<()>) -> Result<Tensor> {
    let shapes = asked.model.graph.shapes(&asked.model.card.input)?;
    let flat = Features { pool: FeaturePooling::Flat, ..asked.clone() }.rows(None, on)?;
    let value = flat.reshape([&[asked.numbers.len()], &shapes[id][1..]].concat())?;
    let [_, height, width] = asked.model.card.input;
    asked.pool.rows(&asked.model.graph.channels_first(id, &value, (height, width))?)
}
