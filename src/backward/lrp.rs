//! Layer-wise relevance propagation: from the relevance of a layer's value to that of its inputs.
//!
//! `z` is what a part of the layer gives, `x · Jᵀ(r / z)` shares relevance by what each input adds to it. Formulas and
//! defaults are those of Bach et al. 2015 (doi:10.1371/journal.pone.0130140) and Montavon et al. 2019
//! (doi:10.1007/978-3-030-28954-6_10), with zennit's reading where libraries differ.

use super::composite::Rule;
use crate::graph::Site;
use crate::tensor::stabilize;
use anyhow::{Result, ensure};
use candle_core::Tensor;

/// Added to denominators of rules that have no ε of their own, away from zero.
const STABILIZER: f64 = 1e-6;

/// What part the bias takes in denominators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bias {
    /// Its positive part with what is positive, its negative part with the rest (zennit, lrp_toolbox).
    #[default]
    Split,
    /// All of it in every denominator (captum, innvestigate).
    Full,
    /// None.
    Zero,
}

/// One rule.
#[derive(Clone, Debug)]
pub enum Lrp {
    /// `x · Jᵀ(r / (z + ε sign z))`; for layers without weights too (additions, means).
    Epsilon(f64, Bias),
    /// Positive parts count `1 + γ` times where the value is positive, negative ones where it is negative.
    Gamma(f64, Bias),
    /// `α` times the share of what is positive, minus `β` times that of what is negative; z⁺ is `(1, 0)`.
    AlphaBeta(f64, f64, Bias),
    /// For pixels between `low` and `high`, `(1, C, 1, 1)`: `x w − low w⁺ − high w⁻`.
    ZBox(Tensor, Tensor),
    /// Alike for every input of a window.
    Flat,
    /// By the squares of the weights.
    WSquare,
    /// On to the only input, unchanged.
    Pass,
}

impl Lrp {
    /// As a rule of a composite.
    pub fn rule<'a>(self) -> Rule<'a> {
        Box::new(move |site, r| self.apply(site, r))
    }

    /// The relevance of each input.
    ///
    /// Errors where the layer has no weights and the rule needs some, or several inputs and the rule knows one.
    pub fn apply(&self, site: &Site, r: &Tensor) -> Result<Vec<Tensor>> {
        if let Self::Epsilon(epsilon, bias) = self {
            return self.epsilon(site, r, *epsilon, *bias);
        }
        ensure!(site.x.len() == 1, "this rule is for layers with one input, not for {}", site.node().op.kind());
        if let Self::Pass = self {
            ensure!(r.dims() == site.x[0].dims(), "relevance cannot pass where the shape changes");
            return Ok(vec![r.clone()]);
        }
        let kind = site.node().op.kind();
        ensure!(
            ["conv", "linear"].contains(&kind),
            "this rule is for layers with weights, conv and linear, not {kind}"
        );
        let parts = Parts::new(site)?;
        Ok(vec![match self {
            Self::AlphaBeta(alpha, beta, bias) => parts.alpha_beta(r, *alpha, *beta, *bias)?,
            Self::Gamma(gamma, bias) => parts.gamma(r, *gamma, *bias)?,
            Self::ZBox(low, high) => parts.zbox(r, low, high)?,
            Self::Flat => parts.of_weights(r, &parts.w.ones_like()?)?,
            Self::WSquare => parts.of_weights(r, &parts.w.sqr()?)?,
            Self::Epsilon(..) | Self::Pass => r.clone(),
        }])
    }

    fn epsilon(&self, site: &Site, r: &Tensor, epsilon: f64, bias: Bias) -> Result<Vec<Tensor>> {
        let y = match (bias, ["conv", "linear"].contains(&site.node().op.kind())) {
            (Bias::Zero, true) => site.node().op.forward(&[&site.x[0]], &site.node().params[..1])?,
            _ => site.y.clone(),
        };
        let share = (r / stabilize(&y, epsilon)?)?;
        (0..site.x.len()).map(|i| Ok((&site.x[i] * site.vjp(&share, i)?)?)).collect()
    }
}

/// A layer with weights, taken apart by sign.
struct Parts<'a> {
    site: &'a Site,
    x: &'a Tensor,
    w: &'a Tensor,
    b: Option<&'a Tensor>,
}

impl<'a> Parts<'a> {
    fn new(site: &'a Site) -> Result<Self> {
        let params = &site.node().params;
        ensure!(!params.is_empty(), "the layer has no weights yet");
        Ok(Self { site, x: &site.x[0], w: &params[0], b: params.get(1) })
    }

    /// What the layer gives of `x` with other weights.
    fn forward(&self, x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
        let params: Vec<_> = std::iter::once(w).chain(b).cloned().collect();
        self.site.node().op.forward(&[x], &params)
    }

    /// `x · Jᵀ s` with other weights.
    fn share(&self, x: &Tensor, w: &Tensor, s: &Tensor) -> Result<Tensor> {
        Ok((x * self.vjp(w, s)?)?)
    }

    fn vjp(&self, w: &Tensor, s: &Tensor) -> Result<Tensor> {
        self.site.node().op.vjp(self.site, std::slice::from_ref(w), s, 0)
    }

    /// The bias of a part: of that sign, whole, or none.
    fn bias(&self, bias: Bias, sign: fn(&Tensor) -> Result<Tensor>) -> Result<Option<Tensor>> {
        match (self.b, bias) {
            (Some(b), Bias::Split) => Ok(Some(sign(b)?)),
            (Some(b), Bias::Full) => Ok(Some(b.clone())),
            _ => Ok(None),
        }
    }

    /// Relevance of what adds up to a positive (or a negative) value: `x⁺ w⁺ + x⁻ w⁻`, or `x⁺ w⁻ + x⁻ w⁺`.
    fn half(&self, r: &Tensor, positive: bool, bias: Bias) -> Result<Tensor> {
        let sign = if positive { plus } else { minus };
        let (xp, xm, wp, wm) = (plus(self.x)?, minus(self.x)?, plus(self.w)?, minus(self.w)?);
        let (first, second) = if positive { (&wp, &wm) } else { (&wm, &wp) };
        let own = self.bias(bias, sign)?;
        let z = (self.forward(&xp, first, own.as_ref())? + self.forward(&xm, second, None)?)?;
        let s = (r / stabilize(&z, STABILIZER)?)?;
        Ok((self.share(&xp, first, &s)? + self.share(&xm, second, &s)?)?)
    }

    fn alpha_beta(&self, r: &Tensor, alpha: f64, beta: f64, bias: Bias) -> Result<Tensor> {
        let positive = (self.half(r, true, bias)? * alpha)?;
        match beta {
            0.0 => Ok(positive),
            _ => Ok((positive - (self.half(r, false, bias)? * beta)?)?),
        }
    }

    fn gamma(&self, r: &Tensor, gamma: f64, bias: Bias) -> Result<Tensor> {
        let more =
            |t: &Tensor, sign: fn(&Tensor) -> Result<Tensor>| -> Result<Tensor> { Ok((t + (sign(t)? * gamma)?)?) };
        let (xp, xm) = (plus(self.x)?, minus(self.x)?);
        let (wp, wm) = (more(self.w, plus)?, more(self.w, minus)?);
        let half = |first: &Tensor, second: &Tensor, sign: fn(&Tensor) -> Result<Tensor>, where_: &Tensor| {
            let own = match (self.b, bias) {
                (Some(b), Bias::Split) => Some(more(b, sign)?),
                (Some(b), Bias::Full) => Some(b.clone()),
                _ => None,
            };
            let z = (self.forward(&xp, first, own.as_ref())? + self.forward(&xm, second, None)?)?;
            let s = ((r * where_)? / stabilize(&z, STABILIZER)?)?;
            Ok::<_, anyhow::Error>((self.share(&xp, first, &s)? + self.share(&xm, second, &s)?)?)
        };
        let y = &self.site.y;
        let (up, down) = (y.gt(0.0)?.to_dtype(y.dtype())?, y.lt(0.0)?.to_dtype(y.dtype())?);
        Ok((half(&wp, &wm, plus, &up)? + half(&wm, &wp, minus, &down)?)?)
    }

    fn zbox(&self, r: &Tensor, low: &Tensor, high: &Tensor) -> Result<Tensor> {
        let fill = |t: &Tensor| -> Result<Tensor> { Ok(t.broadcast_as(self.x.shape())?.contiguous()?) };
        let (low, high) = (fill(low)?, fill(high)?);
        let (wp, wm) = (plus(self.w)?, minus(self.w)?);
        let outer = (self.forward(&low, &wp, None)? + self.forward(&high, &wm, None)?)?;
        let z = (self.forward(self.x, self.w, None)? - outer)?;
        let s = (r / stabilize(&z, STABILIZER)?)?;
        let outer = (self.share(&low, &wp, &s)? + self.share(&high, &wm, &s)?)?;
        Ok((self.share(self.x, self.w, &s)? - outer)?)
    }

    /// Shares that depend on weights alone, as if every input were 1.
    fn of_weights(&self, r: &Tensor, w: &Tensor) -> Result<Tensor> {
        let z = self.forward(&self.x.ones_like()?, w, None)?;
        self.vjp(w, &(r / stabilize(&z, STABILIZER)?)?)
    }
}

fn plus(t: &Tensor) -> Result<Tensor> {
    Ok(t.relu()?)
}

fn minus(t: &Tensor) -> Result<Tensor> {
    Ok(t.minimum(&t.zeros_like()?)?)
}
