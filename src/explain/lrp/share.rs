//! The one formula of LRP: relevance shared by what each input adds to a value.

use crate::backend::{self, Shares};
use crate::exec::{Absorbed, LayerContext};
use crate::graph::op::Saved;
use anyhow::Result;
use candle_core::Tensor;

/// What some inputs add to the value with some weights: `x · w`.
pub type Term = (Tensor, Tensor);

/// How a denominator is made.
#[derive(Clone, Copy, Debug)]
pub struct Denominator<'a> {
    /// The bias in it, one number a channel.
    pub bias: Option<&'a Tensor>,
    /// What keeps it from 0: `z + ε sign(z)`.
    pub epsilon: f64,
}

/// `Σₖ xₖ · J(wₖ)ᵀ (r / (z + ε sign z))` with `z = Σₖ xₖ wₖ + b`, by the layer's own operation with other inputs and
/// weights. What bias and stabiliser keep back is noted at the site.
///
/// Terms that are 0 everywhere, as the negative part of what comes from a ReLU, cost nothing.
pub fn share(site: &LayerContext, r: &Tensor, terms: &[Term], of: Denominator) -> Result<Tensor> {
    let mut counted = vec![];
    for term in terms {
        if !backend::is_zero(&term.0)? {
            counted.push(term);
        }
    }
    let mut z = None;
    for (i, (x, w)) in counted.iter().enumerate() {
        let bias = of.bias.filter(|_| i == 0);
        let params: Vec<_> = std::iter::once(w).chain(bias).cloned().collect();
        let part = site.node().op.forward(&[x], &params)?;
        z = Some(match z {
            Some(before) => (before + part)?,
            None => part,
        });
    }
    // Where no term counts, only the bias stands in the denominator, and nothing is shared.
    let Some(z) = z else {
        let kept = Absorbed { missing: backend::sum(r)?, ..Absorbed::default() };
        site.absorb(kept);
        return Ok(site.x(0)?.zeros_like()?);
    };
    let s = divided(site, r, &z, of)?;
    let mut relevance = None;
    for (x, w) in counted {
        let part = backend::mul(x, &site.node().op.vjp(site, std::slice::from_ref(w), &s, 0)?)?;
        relevance = Some(match relevance {
            Some(before) => (before + part)?,
            None => part,
        });
    }
    Ok(relevance.unwrap_or(s))
}

/// `r / (z + ε sign z)`, with what bias and stabiliser keep back noted at the site.
pub fn divided(site: &LayerContext, r: &Tensor, z: &Tensor, of: Denominator) -> Result<Tensor> {
    let Shares { s, bias, stabilizer, missing } = backend::lrp_divide(r, z, of.bias, of.epsilon)?;
    site.absorb(Absorbed { bias, stabilizer, missing });
    Ok(s)
}
