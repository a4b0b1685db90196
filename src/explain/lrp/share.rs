//! LRP's core formula, which divides relevance in proportion to the contributions to a value.

use crate::backend::{self, Shares};
use crate::exec::{Absorbed, LayerContext};
use crate::graph::op::Saved;
use anyhow::Result;
use candle_core::Tensor;

/// A contribution `x · w` to the value of a layer, given by its input `x` and weight `w`.
pub type Term = (Tensor, Tensor);

/// The bias and stabilizer in the denominator of a share.
#[derive(Clone, Copy, Debug)]
pub struct Denominator<'a> {
    /// The bias, with one element per channel, if any.
    pub bias: Option<&'a Tensor>,
    /// The stabilizer added to the denominator.
    pub stabilizer: Stabilizer,
}

/// A term added to a denominator `z`, so that the quotient stays bounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stabilizer {
    /// `z + ε sign z`, with sign 0 = 1.
    Signed(f64),
    /// `z + ε`, as in LXT; not bounded where `z` is close to −ε.
    Plain(f64),
}

/// `Σₖ xₖ · J(wₖ)ᵀ (r / (z + ε sign z))` with `z = Σₖ xₖ wₖ + b`, computed with the layer's operation from the inputs and weights
/// of the terms. Relevance absorbed by the bias and the stabilizer is recorded in `site`.
///
/// Terms that are zero everywhere, such as the negative part of a ReLU's output, are skipped.
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
    // If all terms are zero, no input contributes to the value, so all relevance is recorded as missing.
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

/// `r / (z + ε sign z)`. Relevance absorbed by the bias and the stabilizer is recorded in `site`.
pub fn divided(site: &LayerContext, r: &Tensor, z: &Tensor, of: Denominator) -> Result<Tensor> {
    let (z, epsilon) = match of.stabilizer {
        Stabilizer::Signed(epsilon) => (z.clone(), epsilon),
        Stabilizer::Plain(epsilon) => ((z + epsilon)?, 0.0),
    };
    let Shares { s, bias, mut stabilizer, missing } = match of.bias {
        Some(_) if site.node().op.kind() == "linear" => backend::lrp_divide(&rows(r)?, &rows(&z)?, of.bias, epsilon)?,
        bias => backend::lrp_divide(r, &z, bias, epsilon)?,
    };
    if let Stabilizer::Plain(epsilon) = of.stabilizer {
        stabilizer = epsilon * backend::sum(&s)?;
    }
    site.absorb(Absorbed { bias, stabilizer, missing });
    Ok(s.reshape(r.dims())?)
}

/// Reshapes the value of a linear layer, `(N, …, C)`, to `(rows, C)`: its channels are the last dimension at any rank.
fn rows(value: &Tensor) -> Result<Tensor> {
    let channels = value.dims().last().copied().unwrap_or(1);
    Ok(value.contiguous()?.reshape(((), channels))?)
}
