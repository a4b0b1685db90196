//! Test cases for plain gradients of a class score, the sum of all outputs, and the cross-entropy.

use super::harness::{Answer, Harness, by_input};
use super::network::ReadOptions;
use crate::explain::{Walk, cross_entropy};
use anyhow::Result;
use candle_core::DType;
use std::sync::Arc;

/// Computes the gradient with the plugin `saliency`. The gradient of the cross-entropy, which no plugin computes, is obtained
/// directly by a backward pass.
pub(super) fn answer(desk: Harness) -> Result<Answer> {
    let mut answer = match desk.params()["seed"].as_str() {
        Some("cross_entropy" | "ce" | "loss") => of_cross_entropy(desk)?,
        _ => desk.by_input(&desk.network(ReadOptions::default())?, desk.plugin("saliency", &[])?, "gradient")?,
    };
    let (model, picture) = desk.bare(ReadOptions::default())?.to(desk.dtype, desk.host.guard().device())?;
    let trace = model.graph.forward(&picture)?;
    answer.insert("value".into(), trace.value(trace.graph.output)?.to_dtype(DType::F64)?);
    Ok(answer)
}

/// Computes the gradient's magnitudes with the plugin `saliency`, or its signed values if the case specifies `abs: false`.
pub(super) fn saliency(desk: Harness) -> Result<Answer> {
    let signed = desk.params()["abs"] == false;
    let answer = answer(desk)?;
    let magnitude = |(name, map): (String, _)| -> Result<_> {
        let map: candle_core::Tensor = map;
        Ok((name.clone(), if signed || name == "value" { map } else { map.abs()? }))
    };
    answer.into_iter().map(magnitude).collect()
}

fn of_cross_entropy(desk: Harness) -> Result<Answer> {
    let network = desk.bare(ReadOptions::default())?;
    let (model, picture) = network.to(desk.dtype, desk.host.guard().device())?;
    let trace = Arc::clone(&model.graph).forward(&picture)?;
    let y = trace.value(trace.graph.output)?;
    let seed = cross_entropy(&y.flatten_from(1)?, &[desk.target()])?.reshape(y.shape())?;
    let walk = Walk::gradient(&trace, vec![(trace.graph.output, seed)]).run()?;
    by_input(&network, &walk.input()?.to_dtype(DType::F64)?)
}
