//! Cases of plain gradients: of a class, of the sum of all outputs, of the cross-entropy.

use super::desk::{Answer, Desk, by_input};
use super::network::{Network, Reading};
use crate::backward::{Walk, cross_entropy};
use anyhow::{Context, Result, bail};
use candle_core::DType;
use std::sync::Arc;

pub(super) fn answer(desk: Desk) -> Result<Answer> {
    let mut answer = match desk.params()["seed"].as_str() {
        Some("cross_entropy") => of_cross_entropy(desk)?,
        None | Some("sum") => {
            let summed = desk.params()["seed"] == "sum";
            let network = desk.network(Reading { summed, ..Reading::default() })?;
            desk.by_input(&network, desk.plugin("saliency", &[])?, "gradient")?
        }
        Some(other) => bail!("the seed \"{other}\" is not known"),
    };
    if desk.case["expected"].get("value").is_some() {
        let (model, picture) = desk.network(Reading::default())?.to(desk.dtype)?;
        let trace = model.graph.forward(&picture)?;
        answer.insert("value".into(), trace.value(trace.graph.output)?.to_dtype(DType::F64)?);
    }
    Ok(answer)
}

/// No plugin shows the gradient of the cross-entropy, so the walk itself is asked.
fn of_cross_entropy(desk: Desk) -> Result<Answer> {
    let network: Network = desk.network(Reading::default())?;
    let (model, picture) = network.to(desk.dtype)?;
    let trace = Arc::clone(&model.graph).forward(&picture)?;
    let class = usize::try_from(desk.case["target"].as_u64().context("a case has a target")?)?;
    let y = trace.value(trace.graph.output)?;
    let seed = cross_entropy(&y.flatten_from(1)?, &[class])?.reshape(y.shape())?;
    let walk = Walk::gradient(&trace, vec![(trace.graph.output, seed)]).run()?;
    by_input(&network, &walk.input()?.to_dtype(DType::F64)?)
}
