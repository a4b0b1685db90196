//! Points in the space of features: nearest neighbours.

use super::options::Options;
use super::{Guard, out};
use crate::embed;
use anyhow::Result;
use candle_core::{Device, Tensor};
use rhai::{Dynamic, Engine, Map};
use std::sync::Arc;

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    let g = guard.clone();
    engine.register_fn("neighbours", move |queries: Tensor, points: Tensor, options: Map| {
        out(neighbours(&g, &queries, &points, &options))
    });
}

/// `#{ index, distance }`, `(Q, k)` each, nearest first, with `#{ k, metric: "euclidean" | "cosine", other: true (the
/// queries are the points, and none is its own neighbour) }`.
fn neighbours(guard: &Guard, queries: &Tensor, points: &Tensor, options: &Map) -> Result<Map> {
    let o = Options::new("neighbours", options.clone(), &["k", "metric", "other"])?;
    let metric = o.raw("metric").map_or(Ok(embed::Metric::Euclidean), |m| m.to_string().parse())?;
    guard.reserve(queries.dims(), 12)?;
    guard.reserve(points.dims(), 16)?;
    let tick = |_| guard.tick();
    let found = embed::neighbours(queries, points, o.size("k", 5)?, metric, o.switch("other", false)?, &tick)?;
    let shape = (queries.dims()[0], found.k);
    let index: Vec<f32> = found.index.iter().map(|&i| i as f32).collect();
    Ok(Map::from([
        ("index".into(), Dynamic::from(Tensor::from_vec(index, shape, &Device::Cpu)?)),
        ("distance".into(), Dynamic::from(Tensor::from_vec(found.distance, shape, &Device::Cpu)?)),
    ]))
}
