//! The functions `backward(trace, seed, #{ rules, to, params, reduction })` and `relevance(trace, class, rules)`, which propagate
//! gradients or relevance backward through a network.

use super::model::facts;
use super::objective::Objective;
use super::options::CallOptions;
use super::rules::default_rules;
use super::seed::Seed;
use super::{Guard, LabeledTrace, Out, classes, in_type_of, out};
use crate::backend;
use crate::exec::{LayerContext, Trace};
use crate::explain::{Composite, Lrp, Relevance, Selector, Walk};
use crate::graph::op::Saved;
use crate::graph::{Graph, Node, NodeId};
use crate::script::report::Inner;
use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Engine, FnPtr, Map, NativeCallContext};
use std::sync::Arc;

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    let g = guard.clone();
    engine.register_fn("backward", move |context: NativeCallContext, trace: LabeledTrace, seed: Dynamic| {
        walk(&g, &context, &trace, &seed, &Map::new())
    });
    let g = guard.clone();
    engine.register_fn(
        "backward",
        move |context: NativeCallContext, trace: LabeledTrace, seed: Dynamic, options: Map| {
            walk(&g, &context, &trace, &seed, &options)
        },
    );
    let g = guard.clone();
    engine.register_fn(
        "relevance",
        move |context: NativeCallContext, trace: LabeledTrace, class: Dynamic, rules: Array| {
            out(relevance(&g, &context, &trace, &class, rules))
        },
    );
}

/// Propagates the score of a class (or of one class per picture) back to the input by the given rules, and by [`default_rules`] through
/// layers that no given rule matches.
fn relevance(
    guard: &Guard,
    context: &NativeCallContext,
    run: &LabeledTrace,
    class: &Dynamic,
    mut rules: Array,
) -> Result<Relevance> {
    let seeds = Seed::Logit(classes(class)?).on(&run.trace)?.into_iter();
    let scores = seeds.map(|(id, seed)| {
        Ok(Dynamic::from(Seed::At(run.trace.graph.nodes[id].name.clone(), (seed * run.trace.value(id)?)?)))
    });
    let scores = scores.collect::<Result<Array>>()?;
    rules.extend(default_rules());
    go(guard, context, run, &scores.into(), &Map::from([("rules".into(), rules.into())]))
}

fn walk(
    guard: &Guard,
    context: &NativeCallContext,
    run: &LabeledTrace,
    seed: &Dynamic,
    options: &Map,
) -> Out<Relevance> {
    out(go(guard, context, run, seed, options))
}

fn go(
    guard: &Guard,
    context: &NativeCallContext,
    run: &LabeledTrace,
    seed: &Dynamic,
    options: &Map,
) -> Result<Relevance> {
    let o = CallOptions::new("backward", options.clone(), &["rules", "to", "params", "reduction"])?;
    // Relevance rules magnify rounding errors, so the backward pass uses direct convolution.
    let exact = if options.contains_key("rules") { run.trace.exact() } else { (*run.trace).clone() };
    let trace = &exact;
    let to = targets(trace, options.get("to"))?;
    let tick = |_: &Node| guard.tick();
    let reduction = o.one_of("reduction", &["none", "sum", "mean"])?;
    let walk = Walk {
        keep: to.is_none(),
        to: to.unwrap_or_else(|| vec![0]),
        trace,
        seeds: in_types_of(trace, seeds(context, run, seed)?)?,
        composite: composite(guard, context, &trace.graph, options.get("rules"))?,
        params: o.switch("params", false)?,
        sum: reduction != "none",
        tick: &tick,
    };
    let mut answer = walk.run()?;
    if reduction == "mean" {
        let n = trace.input().dims()[0] as f64;
        answer.values.values_mut().try_for_each(|v| backend::affine(v, 1.0 / n, 0.0).map(|mean| *v = mean))?;
    }
    Ok(answer)
}

/// Converts a seed, an array of seeds, an objective closure, or a tensor of gradients at the logits to pairs of a node and the gradient at
/// that node.
fn seeds(context: &NativeCallContext, run: &LabeledTrace, seed: &Dynamic) -> Result<Vec<(NodeId, Tensor)>> {
    let trace = &*run.trace;
    if let Some(one) = seed.read_lock::<Seed>() {
        return one.on(trace);
    }
    if let Some(closure) = seed.read_lock::<FnPtr>() {
        return Objective::new(context, run, &closure)?.on(trace);
    }
    if let Some(tensor) = seed.read_lock::<Tensor>() {
        return Ok(vec![trace.seed(&tensor).context("a seed tensor must be a gradient with respect to the logits")?]);
    }
    let Some(many) = seed.read_lock::<Array>() else {
        bail!(
            "a seed must be trace.logit(class), cross_entropy(class), margin(class), at(layer, tensor), an objective |a| …, \
             or an array of these; got {}",
            seed.type_name()
        );
    };
    many.iter().map(|s| seeds(context, run, s)).collect::<Result<Vec<_>>>().map(|s| s.concat())
}

/// Converts seeds to the dtype of the trace.
fn in_types_of(trace: &Trace, seeds: Vec<(NodeId, Tensor)>) -> Result<Vec<(NodeId, Tensor)>> {
    seeds.into_iter().map(|(id, seed)| Ok((id, in_type_of(trace.input(), &seed)?))).collect()
}

/// Parses the option `to: "layer"` or `to: ["layer", …]`; `None` if the option is absent.
fn targets(trace: &Trace, to: Option<&Dynamic>) -> Result<Option<Vec<NodeId>>> {
    let Some(to) = to else { return Ok(None) };
    let names = match to.read_lock::<Array>() {
        Some(many) => many.iter().map(|n| n.clone().into_string()).collect::<Result<Vec<_>, _>>(),
        None => to.clone().into_string().map(|n| vec![n]),
    };
    let names = names.map_err(|t| anyhow!("`to` must be a layer or an array of layers, got {t}"))?;
    names.iter().map(|n| trace.graph.find(n)).collect::<Result<_>>().map(Some)
}

/// Parses rules `[[selector, |site, r| …], [selector, zplus()], …]`, where a selector is a layer kind, a layer name or a
/// predicate such as `|layer| layer.parameters > 0`.
pub(super) fn composite<'a>(
    guard: &Guard,
    context: &'a NativeCallContext<'a>,
    graph: &Graph,
    rules: Option<&Dynamic>,
) -> Result<Composite<'a>> {
    let Some(rules) = rules else { return Ok(Composite::gradient()) };
    let form = "rules must be an array of pairs [selector, |site, r| …]";
    let rules = rules.clone().try_cast::<Array>().context(form)?;
    rules.into_iter().try_fold(Composite::gradient(), |composite, rule| {
        let pair = rule.try_cast::<Array>().filter(|p| p.len() == 2).context(form)?;
        let selector = selector(guard, context, graph, &pair[0])?;
        if let Some(rule) = pair[1].read_lock::<Lrp>() {
            return Ok(composite.with_named(selector, &rule.to_string(), rule.clone().rule()));
        }
        let closure = pair[1].clone().try_cast::<FnPtr>().context(form)?;
        let rule = move |site: &LayerContext, r: &Tensor| call(context, &closure, site, r);
        Ok(composite.with(selector, Box::new(rule)))
    })
}

fn selector(guard: &Guard, context: &NativeCallContext, graph: &Graph, value: &Dynamic) -> Result<Selector> {
    if let Some(predicate) = value.read_lock::<FnPtr>() {
        let chosen = graph.nodes.iter().filter_map(|node| {
            let answer: Result<bool, _> = predicate.call_within_context(context, (facts(graph, node),));
            answer.map_err(|e| Inner(e).into()).map(|yes| yes.then(|| node.name.clone())).transpose()
        });
        return Ok(Selector::Among(chosen.collect::<Result<_>>()?));
    }
    let text = value.clone().into_string().map_err(|kind| {
        anyhow!("a selector must be a string such as \"conv|linear\" or \"features.*\", or a closure such as |layer| layer.parameters > 0; got {kind}")
    })?;
    super::selector::selector(guard, graph, "rule", &text)
}

/// Calls the rule of a layer with the relevance `r` of the layer's output, and returns the relevance of each of the layer's inputs.
/// The rule returns a tensor if the layer has one input, otherwise an array with one tensor per input.
fn call(context: &NativeCallContext, rule: &FnPtr, site: &LayerContext, r: &Tensor) -> Result<Vec<Tensor>> {
    let answer: Dynamic = rule.call_within_context(context, (site.clone(), r.clone())).map_err(Inner)?;
    if let Some(tensor) = answer.read_lock::<Tensor>() {
        return Ok(vec![in_type_of(r, &tensor)?]);
    }
    let kind = answer.type_name();
    let Some(parts) = answer.clone().try_cast::<Array>() else {
        bail!("a rule must return a tensor, or an array with one tensor per input; this rule returned {kind}");
    };
    ensure!(
        parts.len() == site.reads(),
        "a rule returned {} tensors for a layer with {} inputs",
        parts.len(),
        site.reads()
    );
    let part = |p: Dynamic| {
        in_type_of(r, &p.try_cast::<Tensor>().context("the array returned by a rule must contain only tensors")?)
    };
    parts.into_iter().map(part).collect()
}
