//! Forward passes with changed values: `forward(model, x, #{ edits: [["features.12", |a| a * mask]] })` changes activations, and
//! `covered(trace, windows, fill)` covers windows of the picture.

use super::options::CallOptions;
use super::{Guard, LabeledTrace, Out, out};
use crate::exec::PixelWindow;
use crate::explain::Selector;
use crate::graph::{Graph, Node};
use crate::model::Model;
use crate::script::report::Inner;
use crate::tensor::row_dims;
use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Engine, FnPtr, Map, NativeCallContext};
use std::sync::Arc;

/// How an edit changes a node's value.
enum Change {
    /// Calls a closure with the value and replaces the value with the result.
    Closure(FnPtr),
    /// Replaces the value with a fixed tensor.
    Replacement(Tensor),
}

/// Selectors, each with the change to apply to every matching node, in order of application.
type Edits = Vec<(Selector, Change)>;

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    let g = guard.clone();
    engine.register_fn(
        "forward",
        move |context: NativeCallContext, model: Model, x: Tensor, options: Map| -> Out<LabeledTrace> {
            out(edits(&g, &model.graph, &options).and_then(|edits| {
                g.reserve_run(&model.graph, x.dims().first().copied().unwrap_or(1), row_dims(&x))?;
                let reserve = |rows: usize| g.reserve_run(&model.graph, rows, row_dims(&x));
                let mut change = |node: &Node, y: Tensor| changed(&g, &reserve, &context, &edits, node, y);
                let trace = model.graph.forward_with(&x, &mut change)?;
                Ok(LabeledTrace { trace: Arc::new(trace), card: model.card.clone() })
            }))
        },
    );
    let g = guard.clone();
    engine.register_fn(
        "forward",
        move |context: NativeCallContext, run: LabeledTrace, options: Map| -> Out<LabeledTrace> {
            let graph = run.trace.graph.clone();
            out(edits(&g, &graph, &options).and_then(|edits| {
                let chosen = |node: &Node| edits.iter().any(|(selector, _)| selector.fits(node));
                let reserve = |rows: usize| g.reserve_run(&graph, rows, row_dims(run.trace.input()));
                let mut change = |node: &Node, y: Tensor| changed(&g, &reserve, &context, &edits, node, y);
                let trace = run.trace.forward_with(&chosen, &mut change)?;
                Ok(LabeledTrace { trace: Arc::new(trace), card: run.card.clone() })
            }))
        },
    );
    let g = guard.clone();
    engine.register_fn("covered", move |run: LabeledTrace, windows: Array, fill: Tensor| {
        out(covered(&g, &run, windows, &fill))
    });
}

/// The logits `(K, classes)` of `K` copies of the trace's picture, each with one of the `K` windows covered by `fill`.
fn covered(guard: &Guard, run: &LabeledTrace, windows: Array, fill: &Tensor) -> Result<Tensor> {
    let form = "windows must be an array of [top, left, height, width]";
    let window = |w: Dynamic| {
        let sizes = w.try_cast::<Array>().context(form)?.iter().map(|v| v.as_int().ok()).collect::<Option<Vec<_>>>();
        let sizes = sizes.context(form)?.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>()?;
        let [top, left, height, width] = sizes.try_into().ok().context(form)?;
        Ok(PixelWindow { top, left, height, width })
    };
    let windows = windows.into_iter().map(window).collect::<Result<Vec<_>>>()?;
    guard.reserve_run(&run.trace.graph, windows.len(), row_dims(run.trace.input()))?;
    let logits = run.trace.occluded(&windows, fill, &|_| guard.tick())?;
    run.trace.scores_of_changed(logits)
}

/// Parses `#{ edits: [[selector, |a| …], [selector, tensor], …] }`; each selector must match a layer of the network.
fn edits(guard: &Guard, graph: &Graph, options: &Map) -> Result<Edits> {
    let options = CallOptions::new("forward", options.clone(), &["edits"])?;
    let form = "edits must be an array of pairs [selector, |a| …] or [selector, tensor]";
    let Some(edits) = options.raw("edits") else { return Ok(vec![]) };
    let edits = edits.clone().try_cast::<Array>().context(form)?;
    edits.into_iter().map(|edit| one(guard, graph, edit.try_cast::<Array>().context(form)?, form)).collect()
}

fn one(guard: &Guard, graph: &Graph, pair: Array, form: &'static str) -> Result<(Selector, Change)> {
    let [selector, change] = <[Dynamic; 2]>::try_from(pair).ok().context(form)?;
    let text = selector.into_string().ok().context(form)?;
    let mut selector = super::selector::selector(guard, graph, "edit", &text)?;
    if !graph.nodes.iter().any(|node| selector.fits(node)) {
        // A module's name refers to its output.
        let node = graph
            .node(text.strip_prefix(':').unwrap_or(&text))
            .with_context(|| format!("the selector \"{text}\" of an edit matches no layer"))?;
        selector = super::selector::selector(guard, graph, "edit", &node.name)?;
    }
    if let Some(tensor) = change.read_lock::<Tensor>() {
        return Ok((selector, Change::Replacement(tensor.clone())));
    }
    Ok((selector, Change::Closure(change.try_cast::<FnPtr>().context(form)?)))
}

/// The value of a node after applying all edits that match the node. If the edits enlarge the batch, `reserve` reserves memory for the
/// additional rows.
fn changed(
    guard: &Guard,
    reserve: &dyn Fn(usize) -> Result<()>,
    context: &NativeCallContext,
    edits: &Edits,
    node: &Node,
    y: Tensor,
) -> Result<Tensor> {
    guard.tick()?;
    let batch = y.dims()[0];
    let mut fitting = edits.iter().filter(|(selector, _)| selector.fits(node));
    let y = fitting.try_fold(y, |y, (_, change)| match change {
        Change::Closure(closure) => call(context, closure, node, y),
        Change::Replacement(tensor) => replaced(tensor, &y),
    })?;
    if y.dims().first().is_some_and(|&rows| rows > batch) {
        reserve(y.dims()[0])?;
    }
    Ok(y)
}

fn call(context: &NativeCallContext, closure: &FnPtr, node: &Node, y: Tensor) -> Result<Tensor> {
    let answer: Dynamic = closure.call_within_context(context, (y,)).map_err(Inner)?;
    let kind = answer.type_name();
    let Some(tensor) = answer.clone().try_cast::<Tensor>() else {
        bail!("an edit must return a tensor; the edit of layer \"{}\" returned {kind}", node.name);
    };
    Ok(tensor)
}

/// The replacement for a node's value `y`; a single row is broadcast to all rows.
fn replaced(tensor: &Tensor, y: &Tensor) -> Result<Tensor> {
    let one_for_all = tensor.rank() == y.rank() && tensor.dims()[0] == 1 && tensor.dims()[1..] == y.dims()[1..];
    Ok(if one_for_all { tensor.broadcast_as(y.shape())? } else { tensor.clone() })
}
