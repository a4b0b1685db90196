//! Functions of points in feature space: nearest neighbors, t-SNE, clusters.

use super::data::numbers;
use super::options::CallOptions;
use super::{Guard, finite, out, size};
use crate::math::{self, Descent, Tsne};
use crate::render::brief;
use crate::script::sandbox::bounded_text;
use crate::tensor::wide;
use anyhow::{Context, Result, anyhow, ensure};
use candle_core::Tensor;
use rhai::{Dynamic, Engine, FLOAT, INT, Map};
use std::sync::Arc;

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    let g = guard.clone();
    engine.register_fn("neighbours", move |queries: Tensor, points: Tensor, options: Map| {
        out(neighbours(&g, &queries, &points, &options))
    });
    let g = guard.clone();
    engine.register_fn("laplacian", move |x: Tensor, k: INT, q: INT| out(laplacian(&g, &x, k, q)));
    engine.register_fn("kmeans", |x: Tensor, k: INT, seed: INT| out(kmeans(&x, k, seed)));
    engine.register_fn("complete_linkage", |x: Tensor, threshold: FLOAT, metric: &str| {
        out(complete_linkage(&x, threshold, metric))
    });
    engine.register_fn("adjusted_rand", |a: Tensor, b: Tensor| {
        out(numbers(&a).and_then(|a| math::adjusted_rand(&a, &numbers(&b)?)))
    });
    let g = guard.clone();
    engine.register_fn("tsne", move |points: Tensor, options: Map| out(tsne(&g, &points, &options)));
    let g = guard.clone();
    engine.register_fn("descend", move |map: &mut Tsne, n: INT| out(descend(&g, map, n, &Map::new())));
    let g = guard.clone();
    engine.register_fn("descend", move |map: &mut Tsne, n: INT, options: Map| out(descend(&g, map, n, &options)));
    let g = guard.clone();
    engine.register_get("points", move |map: &mut Tsne| out(plane(&map.y, &g)));
    engine.register_get("perplexity", |map: &mut Tsne| map.affinities.perplexity);
    engine.register_get("kl", |map: &mut Tsne| map.kl);
    engine.register_get("iterations", |map: &mut Tsne| map.iterations as INT);
    let g = guard.clone();
    engine.register_get("gradient", move |map: &mut Tsne| out(plane(&map.exact_slope().gradient, &g)));
    engine.register_get("divergence", |map: &mut Tsne| map.exact_slope().kl);
}

/// Finds the `k` points nearest to each of `Q` queries. Returns `#{ index, distance }`, two tensors `(Q, k)` with the nearest
/// point first.
///
/// Options: `k` [default: 5]; `metric`, `"euclidean"` or `"cosine"` [default: `"euclidean"`]; `other: true` if the queries are the points
/// themselves, so that no point is its own neighbor.
fn neighbours(guard: &Guard, queries: &Tensor, points: &Tensor, options: &Map) -> Result<Map> {
    let o = CallOptions::new("neighbours", options.clone(), &["k", "metric", "other"])?;
    let metric = o.raw("metric").map_or(Ok(math::Metric::Euclidean), |m| bounded_text::text(m).parse())?;
    finite(queries, "neighbours")?;
    finite(points, "neighbours")?;
    guard.reserve(queries.dims(), 12)?;
    guard.reserve(points.dims(), 16)?;
    let tick = |_| guard.tick();
    let found = math::neighbours(queries, points, o.size("k", 5)?, metric, o.switch("other", false)?, &tick)?;
    let shape = (queries.dims()[0], found.k);
    let index: Vec<f32> = found.index.iter().map(|&i| i as f32).collect();
    Ok(Map::from([
        ("index".into(), Dynamic::from(Tensor::from_vec(index, shape, queries.device())?)),
        ("distance".into(), Dynamic::from(Tensor::from_vec(found.distance, shape, queries.device())?)),
    ]))
}

/// Initializes a t-SNE map without iterating. The affinities of a point are computed from its `3 · perplexity` nearest
/// neighbors.
///
/// Options: `perplexity` [default: 30]; `metric`, as for `neighbours`; `start` (required), the initial positions `(N, 2)`.
fn tsne(guard: &Guard, points: &Tensor, options: &Map) -> Result<Tsne> {
    let o = CallOptions::new("tsne", options.clone(), &["perplexity", "metric", "start"])?;
    let metric = o.raw("metric").map_or(Ok(math::Metric::Euclidean), |m| bounded_text::text(m).parse())?;
    let (n, _) = points.dims2().context("t-SNE takes points (N, D)")?;
    ensure!(n > 1, "t-SNE needs at least two points, got {n}");
    finite(points, "tsne")?;
    let asked = o.number("perplexity", 30.0)?;
    // The perplexity is at most a third of the number of other points, as in openTSNE.
    let perplexity = asked.min((n - 1) as f64 / 3.0).max(1.0);
    if perplexity < asked {
        guard.note(format!("perplexity={asked} is too large for {n} points; using {}", brief(perplexity as f32)));
    }
    let k = ((3.0 * perplexity).floor() as usize).clamp(1, n - 1);
    guard.reserve(&[n, k], 40)?;
    guard.reserve(points.dims(), 16)?;
    let near = math::neighbours(points, points, k, metric, true, &|_| guard.tick())?;
    let start = o.raw("start").context("t-SNE needs initial positions: #{ start: … }, a tensor (N, 2)")?;
    let start = start.clone().try_cast::<Tensor>().context("`start` of tsne must be a tensor (N, 2)")?;
    finite(&start, "`start` of tsne")?;
    let places = wide(&start)?.to_vec2::<f64>()?;
    let place = |row: Vec<f64>| {
        <[f64; 2]>::try_from(row).map_err(|r| anyhow!("a position needs two coordinates, got {}", r.len()))
    };
    let places = places.into_iter().map(place).collect::<Result<_>>()?;
    Tsne::new(Arc::new(math::Affinities::of(&near, perplexity)?), places)
}

/// Returns a t-SNE map after `iterations` more iterations. Options: `exaggeration` [default: 1.0], `momentum` [default: 0.8], `rate`
/// [default: N / exaggeration].
fn descend(guard: &Guard, map: &Tsne, iterations: INT, options: &Map) -> Result<Tsne> {
    let o = CallOptions::new("descend", options.clone(), &["exaggeration", "momentum", "rate"])?;
    let how = Descent {
        iterations: size(iterations, "the number of iterations")?,
        exaggeration: o.number("exaggeration", 1.0)?.max(1e-6),
        rate: if o.has("rate") { Some(o.number("rate", 0.0)?) } else { None },
        momentum: o.number("momentum", 0.8)?,
    };
    let mut map = map.clone();
    map.descend(how, &|_| guard.tick())?;
    Ok(map)
}

/// Converts points in the plane to an f64 tensor `(N, 2)`.
fn plane(points: &[math::Point], guard: &Guard) -> Result<Tensor> {
    Ok(Tensor::from_vec(points.as_flattened().to_vec(), (points.len(), 2), guard.device())?)
}

/// The `q` smallest eigenvalues of the normalized Laplacian of the `k`-nearest-neighbor graph of the rows of `x`, with their
/// eigenvectors: `#{ values, vectors }`.
fn laplacian(guard: &Guard, x: &Tensor, k: INT, q: INT) -> Result<Map> {
    finite(x, "laplacian")?;
    let n = x.dims2().context("laplacian takes points (N, D)")?.0;
    guard.reserve(&[n, n], 32)?;
    if k >= n as INT {
        guard.note(format!(
            "{k} neighbors per point requested, but there are only {} other points",
            n.saturating_sub(1)
        ));
    }
    let (values, vectors) =
        math::laplacian(x, size(k, "the number of neighbors")?, size(q, "the number of eigenvectors")?, &|_| {
            guard.tick()
        })?;
    let values = Tensor::new(values, x.device())?;
    Ok(Map::from([("values".into(), Dynamic::from(values)), ("vectors".into(), Dynamic::from(vectors))]))
}

/// Clusters the rows of `x` by complete linkage, with distances of at most `threshold` within a cluster, and returns the cluster index
/// of each row, `(N)`. Clusters are numbered in the order of their first rows.
fn complete_linkage(x: &Tensor, threshold: f64, metric: &str) -> Result<Tensor> {
    finite(x, "complete_linkage")?;
    let clusters = math::complete_linkage(x, threshold, metric.parse()?)?;
    Ok(Tensor::from_iter(clusters.into_iter().map(|c| c as f32), x.device())?)
}

/// Clusters the rows of `x` by k-means and returns the cluster index of each row, `(N)`. Clusters are numbered by decreasing size.
fn kmeans(x: &Tensor, k: INT, seed: INT) -> Result<Tensor> {
    finite(x, "kmeans")?;
    let clusters = math::kmeans(x, size(k, "the number of clusters")?, seed as u64)?;
    Ok(Tensor::from_iter(clusters.into_iter().map(|c| c as f32), x.device())?)
}
