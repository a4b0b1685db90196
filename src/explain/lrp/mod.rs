//! Layer-wise relevance propagation: the relevance of a layer's inputs, given that of its value.
//!
//! Each rule defines the terms among which relevance is divided; [`share`] divides it. Formulas and defaults follow Bach et al.
//! 2015 (doi:10.1371/journal.pone.0130140) and Montavon et al. 2019 (doi:10.1007/978-3-030-28954-6_10), and zennit where
//! libraries differ.

mod normalizing;
mod product;
mod share;

pub use share::{Denominator, Stabilizer, Term, share};

use super::composite::Rule;
use crate::backend;
use crate::exec::{Absorbed, LayerContext};
use crate::graph::op::Saved;
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use normalizing::{detached_std, softmax};
use product::product;
use share::divided;
use std::fmt;

/// Stabilizer of rules that have no ε parameter.
const STABILIZER: Stabilizer = Stabilizer::Signed(1e-6);

/// How the bias enters the denominators of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bias {
    /// The positive part of the bias enters the denominator of positive contributions, and its negative part that of negative
    /// ones (zennit, lrp_toolbox).
    #[default]
    Split,
    /// The whole bias enters every denominator (captum, innvestigate).
    Full,
    /// The bias enters no denominator.
    Zero,
}

/// An LRP rule.
#[derive(Clone, Debug)]
pub enum Lrp {
    /// LRP-ε, `x · Jᵀ(r / (z + ε sign z))`; also for layers without weights, such as additions and means.
    Epsilon(f64, Bias),
    /// LRP-γ: where the layer's value is positive, positive contributions are weighted by `1 + γ`; where it is negative, negative
    /// contributions are.
    Gamma(f64, Bias),
    /// LRP-αβ: `α` times the share of positive contributions minus `β` times that of negative ones. The z⁺ rule is `(1, 0)`.
    AlphaBeta(f64, f64, Bias),
    /// Scales positive weights by `positive` and negative weights by `negative`, regardless of the signs of inputs. Captum's γ
    /// rule is `(1 + γ, 1)`, and its α1β0 rule `(1, 0)`.
    Reweigh {
        /// Factor for positive weights.
        positive: f64,
        /// Factor for negative weights.
        negative: f64,
        /// Stabilizer ε of the denominator.
        epsilon: f64,
        /// How the bias enters the denominator.
        bias: Bias,
    },
    /// The zᴮ rule `x w − low w⁺ − high w⁻`, for pixels between `low` and `high`, each of shape `(1, C, 1, 1)`.
    ZBox(Tensor, Tensor),
    /// The flat rule, which gives all inputs of a window equal shares.
    Flat,
    /// The w² rule, which divides relevance in proportion to the squared weights. A bias is squared in the denominator, as in
    /// zennit.
    WSquare(Bias),
    /// Passes relevance unchanged to the layer's only input.
    Pass,
    /// Propagates relevance like a gradient, by the layer's VJP; for layers of any kind.
    Gradient,
    /// Another rule, with this stabilizer in its denominators.
    Stabilized(Box<Self>, Stabilizer),
    /// For pools, including max pools: divides relevance in proportion to each element's contribution to the window's
    /// mean.
    Proportional,
    /// For batch norms: passes on the fraction `|x w| / (|x w| + |b|)` of relevance (Hui & Binder 2019,
    /// doi:10.1007/978-3-030-20518-8_18).
    Absolute,
    /// For layer, group, instance and root mean square norms: LRP-ε with the standard deviation held constant (Ali et al. 2022,
    /// arXiv:2202.07304).
    DetachedStd(f64, Bias),
    /// For softmax: `x ⊙ (r − s Σ r)`, its first-order Taylor expansion at `x` (Achtibat et al. 2024, arXiv:2402.05602, Prop. 3.1).
    /// An input of −∞, which masks an element, counts as 0.
    Softmax,
    /// For products, matrix products and quotients of values: the factors that depend on the input receive equal parts of the
    /// relevance, each divided among the factor's elements by LRP-ε (Achtibat et al. 2024, Prop. 3.3). The denominator of a quotient
    /// is held constant.
    Bilinear(f64),
    /// Like [`Bilinear`](Self::Bilinear), but with gates held constant: attention weights and the values of sigmoids (Arras et al.
    /// 2017, doi:10.18653/v1/W17-5221; Ali et al. 2022, arXiv:2202.07304).
    SignalTakesAll(f64),
}

impl Lrp {
    /// The rule as an entry of a composite.
    pub fn rule<'a>(self) -> Rule<'a> {
        Box::new(move |site, r| self.apply(site, r))
    }

    /// The relevance of each input, given the relevance `r` of the layer's value; absorbed relevance is recorded in `site`.
    ///
    /// Errors if the rule needs weights and the layer has none, or if the rule supports only a single input and the layer has
    /// several.
    pub fn apply(&self, site: &LayerContext, r: &Tensor) -> Result<Vec<Tensor>> {
        match self {
            Self::Stabilized(rule, stabilizer) => rule.stabilized_by(site, r, *stabilizer),
            Self::Epsilon(epsilon, _)
            | Self::Reweigh { epsilon, .. }
            | Self::DetachedStd(epsilon, _)
            | Self::Bilinear(epsilon)
            | Self::SignalTakesAll(epsilon) => self.stabilized_by(site, r, Stabilizer::Signed(*epsilon)),
            rule => rule.stabilized_by(site, r, STABILIZER),
        }
    }

    /// Applies the rule with `stabilizer` in its denominators instead of its own.
    fn stabilized_by(&self, site: &LayerContext, r: &Tensor, stabilizer: Stabilizer) -> Result<Vec<Tensor>> {
        match self {
            Self::Stabilized(rule, _) => rule.stabilized_by(site, r, stabilizer),
            Self::Epsilon(_, bias) => shared_by_value(site, r, stabilizer, *bias),
            Self::Bilinear(_) => product(site, r, stabilizer, false),
            Self::SignalTakesAll(_) => product(site, r, stabilizer, true),
            Self::Gradient => (0..site.reads()).map(|i| site.vjp(r, i)).collect(),
            rule => rule.with_one_input(site, r, stabilizer),
        }
    }

    fn with_one_input(&self, site: &LayerContext, r: &Tensor, stabilizer: Stabilizer) -> Result<Vec<Tensor>> {
        let kind = site.node().op.kind();
        ensure!(site.reads() == 1, "the rule {self} applies to layers with one input, not to {kind}");
        Ok(vec![match self {
            Self::Pass => {
                ensure!(
                    r.dims() == site.dims(0)?,
                    "the rule pass applies to layers whose output has the shape of their input"
                );
                r.clone()
            }
            Self::Proportional => proportional(site, r, stabilizer)?,
            Self::Absolute => absolute(site, r, stabilizer)?,
            Self::DetachedStd(_, bias) => detached_std(site, r, stabilizer, *bias)?,
            Self::Softmax => softmax(site, r)?,
            rule => {
                let weights = site.node().op.with_bias().is_some();
                ensure!(weights, "the rule {self} applies to layers with weights (conv and linear), not to {kind}");
                rule.by_weights(&Parts::new(site, stabilizer)?, r)?
            }
        }])
    }

    fn by_weights(&self, parts: &Parts, r: &Tensor) -> Result<Tensor> {
        match self {
            Self::AlphaBeta(alpha, beta, bias) => parts.alpha_beta(r, *alpha, *beta, *bias),
            Self::Gamma(gamma, bias) => parts.gamma(r, *gamma, *bias),
            Self::Reweigh { positive, negative, bias, .. } => {
                let w = ((plus(&parts.w)? * *positive)? + (minus(&parts.w)? * *negative)?)?;
                let bias = parts.b.as_ref().filter(|_| *bias != Bias::Zero);
                share(parts.site, r, &[(parts.x.clone(), w)], parts.over(bias))
            }
            Self::ZBox(low, high) => parts.zbox(r, low, high),
            Self::WSquare(bias) => parts.of_weights(r, parts.w.sqr()?, parts.bias(*bias, |b| Ok(b.sqr()?))?),
            _ => parts.of_weights(r, parts.w.ones_like()?, None),
        }
    }
}

impl fmt::Display for Lrp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epsilon(epsilon, _) => write!(f, "epsilon({epsilon:?})"),
            Self::Gamma(gamma, _) => write!(f, "gamma({gamma})"),
            Self::AlphaBeta(1.0, 0.0, _) => f.write_str("zplus"),
            Self::AlphaBeta(alpha, beta, _) => write!(f, "alpha_beta({alpha}, {beta})"),
            Self::Reweigh { positive, negative, .. } => write!(f, "reweigh({positive}, {negative})"),
            Self::ZBox(..) => f.write_str("zbox"),
            Self::Flat => f.write_str("flat"),
            Self::WSquare(_) => f.write_str("wsquare"),
            Self::Pass => f.write_str("pass"),
            Self::Gradient => f.write_str("gradient"),
            Self::Stabilized(rule, _) => rule.fmt(f),
            Self::Proportional => f.write_str("proportional"),
            Self::Absolute => f.write_str("absolute"),
            Self::DetachedStd(epsilon, _) => write!(f, "detached_std({epsilon:?})"),
            Self::Softmax => f.write_str("softmax_taylor"),
            Self::Bilinear(epsilon) => write!(f, "bilinear({epsilon:?})"),
            Self::SignalTakesAll(epsilon) => write!(f, "signal_takes_all({epsilon:?})"),
        }
    }
}

/// LRP-ε in terms of the layer's value `y`: `x · Jᵀ(r / y)` for every input.
fn shared_by_value(site: &LayerContext, r: &Tensor, stabilizer: Stabilizer, bias: Bias) -> Result<Vec<Tensor>> {
    let node = site.node();
    let weights = node.weights()?;
    let own = weights.get(1).filter(|_| node.op.with_bias().is_some());
    let (y, bias) = match (bias, own) {
        (Bias::Zero, Some(_)) => (node.op.forward(&[site.x(0)?], &weights[..1])?, None),
        (_, own) => (site.y()?.clone(), own),
    };
    let s = divided(site, r, &y, Denominator { bias, stabilizer })?;
    (0..site.reads()).map(|i| backend::mul(site.x(i)?, &site.vjp(&s, i)?)).collect()
}

fn proportional(site: &LayerContext, r: &Tensor, stabilizer: Stabilizer) -> Result<Tensor> {
    let node = site.node();
    let Some(mean) = node.op.mean() else {
        anyhow::bail!("the rule \"proportional\" applies to pooling layers, not to {}", node.op.kind());
    };
    let y = mean.forward(&[site.x(0)?], &[])?;
    let s = divided(site, r, &y, Denominator { bias: None, stabilizer })?;
    Ok((site.x(0)? * mean.vjp(site, &[], &s, 0)?)?)
}

/// Divides relevance in proportion to the magnitudes of the input's contribution, `y − f(0)`, and of the bias, `f(0)`; the bias
/// absorbs its share.
fn absolute(site: &LayerContext, r: &Tensor, stabilizer: Stabilizer) -> Result<Tensor> {
    let (Stabilizer::Signed(epsilon) | Stabilizer::Plain(epsilon)) = stabilizer;
    let node = site.node();
    let zero = site.x(0)?.narrow(0, 0, 1)?.zeros_like()?;
    let shift = node.forward(&[&zero])?;
    let own = site.y()?.broadcast_sub(&shift)?.abs()?;
    let whole = (own.broadcast_add(&shift.abs()?)? + epsilon)?;
    let relevance = ((r * own)? / &whole)?;
    let stabilizer = backend::sum(&(r / whole)?)? * epsilon;
    let bias = backend::sum(r)? - backend::sum(&relevance)? - stabilizer;
    site.absorb(Absorbed { bias, stabilizer, missing: 0.0 });
    Ok(relevance)
}

/// The input, weight and bias of a layer.
struct Parts<'a> {
    site: &'a LayerContext,
    x: &'a Tensor,
    w: Tensor,
    b: Option<Tensor>,
    stabilizer: Stabilizer,
}

/// A transformation of a weight or bias that favors one sign.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Half {
    Plus,
    Minus,
    /// The tensor plus a factor times the positive part of the tensor; `MoreMinus` adds the negative part.
    MorePlus(f64),
    MoreMinus(f64),
}

impl Half {
    fn of(self, t: &Tensor) -> Result<Tensor> {
        match self {
            Self::Plus => plus(t),
            Self::Minus => minus(t),
            Self::MorePlus(factor) => Ok((t + (plus(t)? * factor)?)?),
            Self::MoreMinus(factor) => Ok((t + (minus(t)? * factor)?)?),
        }
    }

    /// The site's transformed weight, which is cached.
    fn weight(self, site: &LayerContext) -> Result<Tensor> {
        let (name, number) = match self {
            Self::Plus => ("plus", 0.0),
            Self::Minus => ("minus", 0.0),
            Self::MorePlus(factor) => ("more plus", factor),
            Self::MoreMinus(factor) => ("more minus", factor),
        };
        site.weight(name, number, |w| self.of(w))
    }
}

impl<'a> Parts<'a> {
    fn new(site: &'a LayerContext, stabilizer: Stabilizer) -> Result<Self> {
        let mut weights = site.node().weights()?.into_iter();
        let w = weights.next().context("the layer has no weights loaded")?;
        Ok(Self { site, x: site.x(0)?, w, b: weights.next(), stabilizer })
    }

    /// A denominator with this bias and the layer's stabilizer.
    fn over<'b>(&self, bias: Option<&'b Tensor>) -> Denominator<'b> {
        Denominator { bias, stabilizer: self.stabilizer }
    }

    /// The bias for contributions of one sign: transformed like the weights, whole, or none.
    fn bias(&self, bias: Bias, of: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Option<Tensor>> {
        match (&self.b, bias) {
            (Some(b), Bias::Split) => of(b).map(Some),
            (Some(b), Bias::Full) => Ok(Some(b.clone())),
            _ => Ok(None),
        }
    }

    /// The terms of one sign, `x⁺ w⁺ + x⁻ w⁻` or `x⁺ w⁻ + x⁻ w⁺`. Positive inputs use the weights `same`; negative inputs, if
    /// there are any, use the weights `other`.
    fn terms(&self, same: Half, other: Half) -> Result<Vec<Term>> {
        if backend::is_nonnegative(self.x)? {
            return Ok(vec![(self.x.clone(), same.weight(self.site)?)]);
        }
        Ok(vec![(plus(self.x)?, same.weight(self.site)?), (minus(self.x)?, other.weight(self.site)?)])
    }

    fn alpha_beta(&self, r: &Tensor, alpha: f64, beta: f64, bias: Bias) -> Result<Tensor> {
        let half = |weight: f64, same: Half, other: Half| {
            let bias = self.bias(bias, |b| same.of(b))?;
            let of = self.over(bias.as_ref());
            let r = if weight == 1.0 { r.clone() } else { (r * weight)? };
            share(self.site, &r, &self.terms(same, other)?, of)
        };
        let positive = half(alpha, Half::Plus, Half::Minus)?;
        if beta == 0.0 { Ok(positive) } else { Ok((positive + half(-beta, Half::Minus, Half::Plus)?)?) }
    }

    fn gamma(&self, r: &Tensor, gamma: f64, bias: Bias) -> Result<Tensor> {
        let y = self.site.y()?;
        let half = |same: Half, other: Half, mask: Tensor| {
            let bias = self.bias(bias, |b| same.of(b))?;
            let of = self.over(bias.as_ref());
            share(self.site, &(r * mask.to_dtype(r.dtype())?)?, &self.terms(same, other)?, of)
        };
        let (more, less) = (Half::MorePlus(gamma), Half::MoreMinus(gamma));
        let missing = backend::sum(&(r * y.eq(0.0)?.to_dtype(r.dtype())?)?)?;
        self.site.absorb(Absorbed { missing, ..Absorbed::default() });
        let positive = half(more, less, y.gt(0.0)?)?;
        Ok((positive + half(less, more, y.lt(0.0)?)?)?)
    }

    fn zbox(&self, r: &Tensor, low: &Tensor, high: &Tensor) -> Result<Tensor> {
        ensure!(
            low.broadcast_as(self.x.shape()).is_ok(),
            "the rule zbox has bounds of shape {:?}, which do not match the layer's input of shape {:?}; choose a rule without bounds, \
             such as flat",
            low.dims(),
            self.x.dims()
        );
        let fill = |t: &Tensor| -> Result<Tensor> {
            Ok(t.to_dtype(self.x.dtype())?.broadcast_as(self.x.shape())?.contiguous()?)
        };
        let terms = [
            (self.x.clone(), self.w.clone()),
            (fill(low)?, plus(&self.w)?.neg()?),
            (fill(high)?, minus(&self.w)?.neg()?),
        ];
        share(self.site, r, &terms, self.over(None))
    }

    /// Divides relevance in proportion to weights only, as if every input were 1.
    fn of_weights(&self, r: &Tensor, w: Tensor, bias: Option<Tensor>) -> Result<Tensor> {
        let of = self.over(bias.as_ref());
        share(self.site, r, &[(self.x.ones_like()?, w)], of)
    }
}

fn plus(t: &Tensor) -> Result<Tensor> {
    backend::relu(t)
}

fn minus(t: &Tensor) -> Result<Tensor> {
    Ok(t.minimum(&t.zeros_like()?)?)
}
