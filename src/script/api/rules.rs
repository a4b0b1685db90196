//! Built-in rules for the backward pass: `epsilon(1e-6)`, `alpha_beta(2.0, 1.0)`, `zplus()` and others.

use super::{Out, out};
use crate::explain::{Bias, Lrp, Stabilizer};
use crate::graph::op::{DefaultRule, SPECS};
use anyhow::{Result, bail};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Engine, FLOAT};

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("epsilon", |e: FLOAT| Lrp::Epsilon(e, Bias::Full));
    engine.register_fn("epsilon", |e: FLOAT, b: &str| -> Out<Lrp> { out(bias(b).map(|b| Lrp::Epsilon(e, b))) });
    engine.register_fn("gamma", |g: FLOAT| Lrp::Gamma(g, Bias::Split));
    engine.register_fn("gamma", |g: FLOAT, b: &str| -> Out<Lrp> { out(bias(b).map(|b| Lrp::Gamma(g, b))) });
    engine.register_fn("alpha_beta", |a: FLOAT, b: FLOAT| Lrp::AlphaBeta(a, b, Bias::Split));
    engine.register_fn("alpha_beta", |a: FLOAT, b: FLOAT, how: &str| -> Out<Lrp> {
        out(bias(how).map(|how| Lrp::AlphaBeta(a, b, how)))
    });
    engine.register_fn("zplus", || Lrp::AlphaBeta(1.0, 0.0, Bias::Split));
    engine.register_fn("zplus", |b: &str| -> Out<Lrp> { out(bias(b).map(|b| Lrp::AlphaBeta(1.0, 0.0, b))) });
    engine.register_fn("zbox", |low: Tensor, high: Tensor| Lrp::ZBox(low, high));
    engine.register_fn("flat", || Lrp::Flat);
    engine.register_fn("wsquare", || Lrp::WSquare(Bias::Zero));
    engine.register_fn("wsquare", |b: &str| -> Out<Lrp> { out(bias(b).map(Lrp::WSquare)) });
    engine.register_fn("pass", || Lrp::Pass);
    engine.register_fn("gradient", || Lrp::Gradient);
    engine.register_fn("stabilized", |rule: Lrp, epsilon: FLOAT| {
        Lrp::Stabilized(rule.into(), Stabilizer::Signed(epsilon))
    });
    engine.register_fn("stabilized", |rule: Lrp, epsilon: FLOAT, form: &str| -> Out<Lrp> {
        out(stabilizer(form, epsilon).map(|stabilizer| Lrp::Stabilized(rule.into(), stabilizer)))
    });
    engine.register_fn("detached_std", |e: FLOAT| Lrp::DetachedStd(e, Bias::Full));
    engine
        .register_fn("detached_std", |e: FLOAT, b: &str| -> Out<Lrp> { out(bias(b).map(|b| Lrp::DetachedStd(e, b))) });
    engine.register_fn("softmax_taylor", || Lrp::Softmax);
    engine.register_fn("bilinear", |e: FLOAT| Lrp::Bilinear(e));
    engine.register_fn("signal_takes_all", |e: FLOAT| Lrp::SignalTakesAll(e));
    engine.register_fn("default_rules", default_rules);
    engine.register_fn("proportional", || Lrp::Proportional);
    engine.register_fn("absolute", || Lrp::Absolute);
    engine.register_fn("gamma_plain", |g: FLOAT| plain(1.0 + g, 1.0, Bias::Full));
    engine.register_fn("gamma_plain", |g: FLOAT, b: &str| -> Out<Lrp> { out(bias(b).map(|b| plain(1.0 + g, 1.0, b))) });
    engine.register_fn("zplus_plain", || plain(1.0, 0.0, Bias::Full));
    engine.register_fn("zplus_plain", |b: &str| -> Out<Lrp> { out(bias(b).map(|b| plain(1.0, 0.0, b))) });
}

/// Rules `[[selector, rule], …]` for the kinds of operations that have a default rule. Activations and batch norms pass relevance
/// through. Sums and means use LRP-ε, and so do other normalizations, with their standard deviation held constant. Products, matrix
/// products and softmax follow AttnLRP, with gates held constant. A composite's own rules take precedence over these.
pub(super) fn default_rules() -> Array {
    let kinds = |relevance| {
        let kinds = SPECS.iter().filter(|spec| spec.relevance == relevance).map(|spec| spec.kind);
        kinds.collect::<Vec<_>>().join("|")
    };
    let rule = |relevance, rule: Lrp| Dynamic::from_array(vec![kinds(relevance).into(), Dynamic::from(rule)]);
    vec![
        rule(DefaultRule::Pass, Lrp::Pass),
        rule(DefaultRule::Share, Lrp::Epsilon(1e-6, Bias::Full)),
        rule(DefaultRule::Normalize, Lrp::DetachedStd(1e-6, Bias::Full)),
        rule(DefaultRule::Product, Lrp::SignalTakesAll(1e-6)),
        rule(DefaultRule::Bilinear, Lrp::Bilinear(1e-6)),
        rule(DefaultRule::Softmax, Lrp::Softmax),
    ]
}

/// An LRP rule with Captum's stabilizer, 1e-9.
fn plain(positive: f64, negative: f64, bias: Bias) -> Lrp {
    Lrp::Reweigh { positive, negative, epsilon: 1e-9, bias }
}

fn stabilizer(form: &str, epsilon: f64) -> Result<Stabilizer> {
    Ok(match form {
        "signed" => Stabilizer::Signed(epsilon),
        "plain" => Stabilizer::Plain(epsilon),
        _ => bail!("no stabilizer of the form \"{form}\"; use signed (z + ε sign z) or plain (z + ε)"),
    })
}

fn bias(name: &str) -> Result<Bias> {
    Ok(match name {
        "split" => Bias::Split,
        "full" => Bias::Full,
        "zero" => Bias::Zero,
        _ => bail!("no bias mode named \"{name}\"; use split, full or zero"),
    })
}
