//! Rules for layers that normalize: norms and softmax.

use super::Bias;
use super::share::{Denominator, Stabilizer, divided};
use crate::backend;
use crate::exec::{Absorbed, LayerContext};
use crate::graph::op::Saved;
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;

/// Kinds of norms whose standard deviation depends on the input.
const NORMS: [&str; 4] = ["layer_norm", "group_norm", "instance_norm", "rms_norm"];

/// `x ⊙ Jᵀ(r / (y + ε sign y))`, where the Jacobian `J` holds the standard deviation constant. The norm is then an affine map, whose
/// bias absorbs its share of the relevance unless `bias` is [`Bias::Zero`].
pub fn detached_std(site: &LayerContext, r: &Tensor, stabilizer: Stabilizer, bias: Bias) -> Result<Tensor> {
    let kind = site.node().op.kind();
    ensure!(NORMS.contains(&kind), "the rule detached_std applies to {}, not to {kind}", NORMS.join(", "));
    let weights = site.node().weights()?;
    let y = match (&weights[..], bias) {
        ([weight, shift], Bias::Zero) => {
            &site.node().op.forward(&[site.x(0)?], &[weight.clone(), shift.zeros_like()?])?
        }
        _ => site.y()?,
    };
    let before = site.absorbed();
    let s = divided(site, r, y, Denominator { bias: None, stabilizer })?;
    let relevance = backend::mul(site.x(0)?, &site.vjp_detached(&s)?)?;
    if weights.len() > 1 && bias != Bias::Zero {
        let stabilized = site.absorbed().total() - before.total();
        let bias = backend::sum(r)? - stabilized - backend::sum(&relevance)?;
        site.absorb(Absorbed { bias, ..Absorbed::default() });
    }
    Ok(relevance)
}

/// `x ⊙ (r − s Σ r)` along the dimension of the softmax. The rest of the relevance belongs to the constant term of the expansion and
/// is recorded as absorbed by a bias.
pub fn softmax(site: &LayerContext, r: &Tensor) -> Result<Tensor> {
    let op = &site.node().op;
    let dim = op
        .softmax_dim()
        .with_context(|| format!("the rule softmax_taylor applies to softmax, not to {}", op.kind()))?;
    let x = site.x(0)?;
    let x = x.eq(f64::NEG_INFINITY)?.where_cond(&x.zeros_like()?, x)?;
    let relevance = (x * (r - site.y()?.broadcast_mul(&r.sum_keepdim(dim)?)?)?)?;
    let bias = backend::sum(r)? - backend::sum(&relevance)?;
    site.absorb(Absorbed { bias, ..Absorbed::default() });
    Ok(relevance)
}
