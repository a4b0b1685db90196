//! Functions that create figures of points, one per picture of a data set: `scatter(coordinates, "map", #{ groups, names,
//! pictures })` and `sheet`.

use super::figure::{colors, values};
use super::options::CallOptions;
use super::out;
use crate::render::{Body, Figure, Points};
use crate::tensor::numbers;
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use rhai::{Engine, Map};
use std::sync::Arc;

pub(super) fn register(engine: &mut Engine) {
    for name in ["scatter", "sheet"] {
        let figure = move |t: &Tensor, title: &str, options: &Map| -> Result<Figure> {
            let points = points(t, options)?;
            let body = if name == "scatter" { Body::Scatter { points } } else { Body::Sheet { points } };
            Ok(Figure::new(title, body))
        };
        engine.register_fn(name, move |t: Tensor, title: &str| out(figure(&t, title, &Map::new())));
        engine.register_fn(name, move |t: Tensor, title: &str, options: Map| out(figure(&t, title, &options)));
    }
}

/// Creates points from rows `(N, D)`; the first two columns are the coordinates in the plane.
///
/// Options: `groups` and `pictures`, tensors `(N)` of integers; `names`, strings; `colors`, RGB rows `(N, 3)` in `[0, 1]`.
fn points(t: &Tensor, options: &Map) -> Result<Points> {
    let o = CallOptions::new("points", options.clone(), &["groups", "names", "pictures", "colors"])?;
    ensure!(t.rank() == 2, "points must have shape (N, D), got {:?}", t.dims());
    let whole = |key: &'static str| -> Result<Arc<[u32]>> {
        let Some(given) = o.raw(key) else { return Ok([].into()) };
        let given =
            given.clone().try_cast::<Tensor>().with_context(|| format!("`{key}` of points must be a tensor"))?;
        let all = numbers(&given)?;
        ensure!(all.len() == t.dims()[0], "got {} {key} for {} points", all.len(), t.dims()[0]);
        let wrong = all.iter().find(|v| **v < 0.0 || v.fract() != 0.0 || !v.is_finite());
        ensure!(wrong.is_none(), "points: `{key}` must be nonnegative integers, got {}", wrong.unwrap_or(&0.0));
        Ok(all.into_iter().map(|v| v as u32).collect())
    };
    let (groups, pictures) = (whole("groups")?, whole("pictures")?);
    let colors = colors(&o, "colors", t.dims()[0])?.into();
    Ok(Points { values: values(t)?, groups, names: o.texts("names")?.into(), pictures, files: [].into(), colors })
}
