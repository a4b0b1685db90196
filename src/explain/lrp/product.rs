//! The rule for products, matrix products and quotients of values.

use super::share::{Denominator, Stabilizer, divided};
use crate::backend;
use crate::exec::LayerContext;
use crate::graph::op::{Saved, sum_to_input};
use anyhow::{Result, ensure};
use candle_core::Tensor;

/// Divides relevance in equal parts among the `n` factors that depend on the network's input. Each receives `r / n` in an elementwise
/// product and `xᵢ ⊙ Jᵢᵀ(r / (n z))` in a matrix product. With `signal`, gates receive nothing, unless all factors are gates.
pub fn product(site: &LayerContext, r: &Tensor, stabilizer: Stabilizer, signal: bool) -> Result<Vec<Tensor>> {
    let kind = site.node().op.kind();
    ensure!(
        ["mul", "matmul", "div"].contains(&kind),
        "the rules bilinear and signal_takes_all apply to mul, matmul and div, not to {kind}"
    );
    let receivers = receivers(site, signal);
    let part = (r / receivers.len().max(1) as f64)?;
    let shares = match kind {
        "matmul" => divided(site, &part, site.y()?, Denominator { bias: None, stabilizer })?,
        _ => part,
    };
    let one = |i: usize| match kind {
        _ if !receivers.contains(&i) => Ok(Tensor::zeros(site.dims(i)?, r.dtype(), r.device())?),
        "matmul" => backend::mul(site.x(i)?, &site.vjp(&shares, i)?),
        _ => sum_to_input(&shares, &site.dims(i)?),
    };
    (0..site.reads()).map(one).collect()
}

/// The inputs that receive relevance.
fn receivers(site: &LayerContext, signal: bool) -> Vec<usize> {
    let (graph, inputs) = (site.graph(), &site.node().inputs);
    let varying: Vec<_> = (0..inputs.len()).filter(|&i| graph.depends_on_input(inputs[i])).collect();
    let signals: Vec<_> = varying.iter().copied().filter(|&i| !graph.is_gate(inputs[i])).collect();
    match varying[..] {
        [numerator, _] if site.node().op.kind() == "div" => vec![numerator],
        _ if signal && !signals.is_empty() => signals,
        _ => varying,
    }
}
