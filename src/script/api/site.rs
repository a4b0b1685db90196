//! The functions of `site`, which represents one layer of a trace in a rule: `site.x`, `site.y`, `site.vjp(r)`, `site.share(r,
//! [[x, w]])`.

use super::options::CallOptions;
use super::{Out, in_type_of, out, size};
use crate::exec::LayerContext;
use crate::explain::{Denominator, Stabilizer, Term, share};
use crate::graph::NodeId;
use crate::graph::op::Saved;
use anyhow::{Context, Result, anyhow, ensure};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Engine, INT, Map};

pub(super) fn register(engine: &mut Engine) {
    engine.register_get("x", |s: &mut LayerContext| {
        out(if s.reads() > 0 { s.x(0).cloned() } else { Err(anyhow!("the input layer has no inputs")) })
    });
    engine.register_get("inputs", |s: &mut LayerContext| -> Out<Array> {
        out((0..s.reads()).map(|i| s.x(i).cloned().map(Dynamic::from)).collect())
    });
    engine.register_get("y", |s: &mut LayerContext| out(s.y().cloned()));
    engine.register_get("name", |s: &mut LayerContext| s.node().name.clone());
    engine.register_get("predecessors", |s: &mut LayerContext| names(s, s.node().inputs.iter().copied()));
    engine.register_get("successors", |s: &mut LayerContext| names(s, s.graph().readers(s.id)));
    engine.register_get("kind", |s: &mut LayerContext| s.node().op.kind().to_string());
    engine.register_get("params", |s: &mut LayerContext| -> Out<Map> {
        let node = s.node();
        let names = node.op.params().into_iter().map(|p| p.name);
        out(node
            .weights()
            .map(|all| names.zip(all).map(|(name, t)| (name.as_str().into(), Dynamic::from(t))).collect()))
    });
    engine.register_get("weight", |s: &mut LayerContext| out(weight(s)));
    engine.register_get("bias", |s: &mut LayerContext| {
        let bias = |s: &LayerContext| Ok(s.node().weights()?.into_iter().nth(1).filter(|_| weight(s).is_ok()));
        out(bias(s).map(|b| b.map_or(Dynamic::UNIT, Dynamic::from)))
    });
    engine
        .register_fn("share", |s: &mut LayerContext, r: Tensor, terms: Array| out(shared(s, &r, &terms, &Map::new())));
    engine.register_fn("share", |s: &mut LayerContext, r: Tensor, terms: Array, options: Map| {
        out(shared(s, &r, &terms, &options))
    });
    engine
        .register_fn("vjp", |s: &mut LayerContext, dy: Tensor| out(s.y().and_then(|y| s.vjp(&in_type_of(y, &dy)?, 0))));
    engine.register_fn("vjp", |s: &mut LayerContext, dy: Tensor, i: INT| -> Out<Tensor> {
        out(size(i, "an input").and_then(|i| {
            ensure!(i < s.reads(), "no input {i}; the layer has {} inputs", s.reads());
            s.vjp(&in_type_of(s.y()?, &dy)?, i)
        }))
    });
    engine.register_fn("vjp_detached", |s: &mut LayerContext, dy: Tensor| {
        out(s.y().and_then(|y| s.vjp_detached(&in_type_of(y, &dy)?)))
    });
    engine.register_get("gates", |s: &mut LayerContext| -> Array {
        s.node().inputs.iter().map(|&id| Dynamic::from(s.graph().is_gate(id))).collect()
    });
    engine.register_get("constants", |s: &mut LayerContext| -> Array {
        s.node().inputs.iter().map(|&id| Dynamic::from(!s.graph().depends_on_input(id))).collect()
    });
    engine.register_fn("forward", |s: &mut LayerContext, x: Tensor| {
        out(s.y().and_then(|y| s.node().forward(&[&in_type_of(y, &x)?])))
    });
}

/// The names of the given nodes, as an array.
fn names(site: &LayerContext, nodes: impl Iterator<Item = NodeId>) -> Array {
    nodes.map(|id| site.graph().nodes[id].name.clone().into()).collect()
}

/// The weight of a linear layer (conv or linear). Errors if the layer is not linear or has no weight.
fn weight(site: &LayerContext) -> Result<Tensor> {
    let node = site.node();
    let weight = node.weights()?.into_iter().next().filter(|_| node.op.with_bias().is_some());
    weight.with_context(|| {
        format!("layer \"{}\" ({}) has no site.weight; only conv and linear layers have one", node.name, node.op.kind())
    })
}

/// Computes `Σ x · J(w)ᵀ (r / (Σ x w + b))` for terms `[[x, w], …]`, where `J(w)` is the Jacobian of the layer with weights `w`. Options:
/// `bias` [default: none], `epsilon` [default: 1e-6].
fn shared(site: &LayerContext, r: &Tensor, terms: &Array, options: &Map) -> Result<Tensor> {
    const FORM: &str = "terms must be an array of pairs [x, w] with the shapes of the layer's input and weight";
    let o = CallOptions::new("share", options.clone(), &["bias", "epsilon"])?;
    let own = weight(site)?;
    let part = |value: &Dynamic, like: &Tensor| -> Result<Tensor> {
        let t = in_type_of(like, &value.clone().try_cast::<Tensor>().context(FORM)?)?;
        ensure!(t.dims() == like.dims(), "a term has shape {:?} instead of {:?}; {FORM}", t.dims(), like.dims());
        Ok(t)
    };
    let term = |value: &Dynamic| -> Result<Term> {
        let pair = value.clone().try_cast::<Array>().filter(|p| p.len() == 2).context(FORM)?;
        Ok((part(&pair[0], site.x(0)?)?, part(&pair[1], &own)?))
    };
    let terms = terms.iter().map(term).collect::<Result<Vec<_>>>()?;
    let bias = match options.get("bias").filter(|b| !b.is_unit()) {
        Some(bias) => Some(part(bias, &own.flatten_from(1)?.narrow(1, 0, 1)?.flatten_all()?)?),
        None => None,
    };
    share(
        site,
        &in_type_of(site.y()?, r)?,
        &terms,
        Denominator { bias: bias.as_ref(), stabilizer: Stabilizer::Signed(o.number("epsilon", 1e-6)?) },
    )
}
