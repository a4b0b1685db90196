//! Test cases for t-SNE: the joint probabilities of points, and the divergence and gradient of a given embedding.

use super::harness::{Answer, Harness};
use super::value::tensor;
use crate::math::{Affinities, Metric, Point, Tsne, neighbours};
use anyhow::{Context, Result, anyhow};
use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use std::sync::Arc;

/// Computes `P_condensed`, the joint probability of each pair of points, listed once per pair. If the case specifies an embedding
/// `Y`, computes its divergence `KL` and gradient `grad` instead.
pub(super) fn answer(desk: Harness) -> Result<Answer> {
    let inputs = &desk.case["inputs"];
    let x = tensor(&inputs["X"])?.to_dtype(desk.dtype)?;
    let n = x.dims2().context("points must have shape (N, D)")?.0;
    let perplexity = desk.params()["perplexity"].as_f64().context("t-SNE needs the number \"perplexity\"")?;
    let near = neighbours(&x, &x, n.saturating_sub(1), Metric::Euclidean, true, &|_| Ok(()))?;
    let p = Affinities::of(&near, perplexity)?;
    if inputs["Y"].is_null() {
        let pairs: Vec<f64> = (0..n).flat_map(|i| p.row(i).filter(move |(j, _)| *j > i).map(|(_, p)| p)).collect();
        return Ok([("P_condensed".into(), Tensor::new(pairs, &Device::Cpu)?)].into());
    }
    let slope = Tsne::new(Arc::new(p), places(&inputs["Y"])?)?.exact_slope();
    let gradient: Vec<f64> = slope.gradient.iter().flatten().map(|g| 4.0 * g).collect();
    Ok([
        ("KL".into(), Tensor::new(slope.kl, &Device::Cpu)?),
        ("grad".into(), Tensor::from_vec(gradient, (n, 2), &Device::Cpu)?),
    ]
    .into())
}

fn places(value: &Value) -> Result<Vec<Point>> {
    let rows = tensor(value)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let place = |row: Vec<f64>| {
        Point::try_from(row).map_err(|row| anyhow!("a point of \"Y\" must have two coordinates, got {}", row.len()))
    };
    rows.into_iter().map(place).collect()
}
