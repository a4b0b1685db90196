//! Functions for least squares, principal components and image segmentation.

use super::options::CallOptions;
use super::{Guard, finite, out, size};
use crate::math;
use crate::script::sandbox::bounded_text;
use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Engine, INT, Map};
use std::sync::Arc;

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    engine.register_fn("lstsq", |a: Tensor, b: Tensor| out(lstsq(&a, &b, &Map::new())));
    engine.register_fn("lstsq", |a: Tensor, b: Tensor, options: Map| out(lstsq(&a, &b, &options)));
    engine.register_fn("pca_lowrank", |a: Tensor, q: INT| out(pca(&a, q, true)));
    engine.register_fn("pca_lowrank", |a: Tensor, q: INT, center: bool| out(pca(&a, q, center)));
    let g = guard.clone();
    engine.register_fn("segments", move |picture: Tensor| out(segments(&g, &picture, &Map::new())));
    let g = guard.clone();
    engine.register_fn("segments", move |picture: Tensor, options: Map| out(segments(&g, &picture, &options)));
}

/// Minimizes `Σ w (b − A x)² + ridge ‖x‖²` over `x`, for `A` of shape `(M, N)` and `b` of shape `(M)` or `(M, K)`, and returns
/// `#{ solution, residuals }`.
///
/// Options: `weights` of shape `(M)` [default: 1 for every row], `ridge` [default: 0].
fn lstsq(a: &Tensor, b: &Tensor, options: &Map) -> Result<Map> {
    let o = CallOptions::new("lstsq", options.clone(), &["weights", "ridge"])?;
    let weights = match o.raw("weights") {
        Some(w) => {
            Some(w.clone().try_cast::<Tensor>().context("`weights` of lstsq must be a tensor with one value per row")?)
        }
        None => None,
    };
    [Some(a), Some(b), weights.as_ref()].into_iter().flatten().try_for_each(|t| finite(t, "lstsq"))?;
    let solved = math::lstsq(a, b, weights.as_ref(), o.number("ridge", 0.0)?)?;
    let residuals: Array = solved.residuals.into_iter().map(Dynamic::from).collect();
    Ok(Map::from([("solution".into(), Dynamic::from(solved.solution)), ("residuals".into(), residuals.into())]))
}

/// The first `q` principal components of the rows of `A`, as `#{ U, S, V }` with `A ≈ U diag(S) Vᵀ`; if `center` is true, the mean of
/// each column is subtracted first.
fn pca(a: &Tensor, q: INT, center: bool) -> Result<Map> {
    finite(a, "pca_lowrank")?;
    let c = math::pca_lowrank(a, size(q, "the number of components")?, center)?;
    Ok([("U", c.u), ("S", c.s), ("V", c.v)].into_iter().map(|(k, t)| (k.into(), Dynamic::from(t))).collect())
}

/// The segment index of each pixel, `(1, 1, H, W)`. Options: `method`, `"slic"` or `"grid"` [default: `"slic"`]; `count` [default: 50];
/// `compactness` [default: 10].
fn segments(guard: &Guard, picture: &Tensor, options: &Map) -> Result<Tensor> {
    let o = CallOptions::new("segments", options.clone(), &["method", "count", "compactness"])?;
    guard.reserve(picture.dims(), 24)?;
    finite(picture, "segments")?;
    let count = o.size("count", 50)?;
    let method = o.raw("method").map_or("slic".to_string(), bounded_text::text);
    let (_, _, height, width) = picture
        .dims4()
        .with_context(|| format!("segments expects a picture of shape (1, C, H, W), got {:?}", picture.dims()))?;
    match method.as_str() {
        "slic" => math::slic(picture, count, o.number("compactness", 10.0)?),
        "grid" => math::grid(height, width, count),
        other => bail!("no segmentation method named \"{other}\"; use slic or grid"),
    }
}
