//! Evaluates operators whose inputs are all constants: directly, or as a small network with the first of them as its input.

use super::evaluate::{check_size, evaluate};
use super::lower::{Operator, lower};
use super::program::Node;
use super::resample;
use crate::model::import::{Constant, Importer, Value};
use crate::tensor::numbers;
use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

/// The outputs of an operator; `None` if it is not supported.
pub fn compute(node: &Node, inputs: &[Option<Tensor>], opset: i64) -> Result<Option<Vec<Tensor>>> {
    if node.op == "Resize" || node.op == "Upsample" {
        return Ok(Some(vec![resized(node, inputs, opset)?]));
    }
    match evaluate(&node.op, &node.attributes, inputs, (opset, node.outputs.len()))? {
        Some(found) => Ok(Some(found)),
        None => by_network(node, inputs, opset),
    }
}

/// A constant that is resized, such as position embeddings for another input size.
fn resized(node: &Node, inputs: &[Option<Tensor>], opset: i64) -> Result<Tensor> {
    let given = |i: usize| inputs.get(i).and_then(Option::as_ref);
    let x = given(0).context("no input")?;
    resample::Resampling::of(node, [given(1), given(2), given(3)], x.dims(), opset)?.apply(x)
}

/// The outputs of an operator that is only supported for nodes, from a network that consists of it.
fn by_network(node: &Node, inputs: &[Option<Tensor>], opset: i64) -> Result<Option<Vec<Tensor>>> {
    if lower(&node.op).is_none() {
        return Ok(None);
    }
    let variant = node.unsupported();
    ensure!(variant.is_none(), "{} with {} is not supported", node.op, variant.unwrap_or_default());
    // Networks hold their constants in f32.
    let is_exact = |t: &Tensor| anyhow::Ok(t.dtype().is_float() || numbers(t)?.iter().all(|v| v.abs() <= 16_777_216.0));
    for t in inputs.iter().flatten() {
        ensure!(is_exact(t)?, "integers above 2^24 are not supported for it");
        ensure!(t.elem_count() > 0, "an empty constant is not supported for it");
    }
    let x = inputs.first().and_then(Option::as_ref).context("its first input is missing")?;
    let all = |batched: bool| -> Result<Vec<Tensor>> {
        (0..node.outputs.len()).map(|i| output(node, inputs, opset, (i, batched))).collect()
    };
    // The first dimension may be a batch, as in the input of a convolution.
    all(false).or_else(|error| if x.rank() > 1 { all(true) } else { Err(error) }).map(Some)
}

/// Output `i` of an operator, from a network of its first input, whose first dimension is the batch if `batched`.
fn output(node: &Node, inputs: &[Option<Tensor>], opset: i64, (i, batched): (usize, bool)) -> Result<Tensor> {
    let lower = lower(&node.op).context("it is not supported")?;
    let x = inputs.first().and_then(Option::as_ref).context("its first input is missing")?;
    let (mut importer, first, picture) = Importer::of_tensor(&x.to_dtype(DType::F64)?, batched)?;
    let constant = |t: &Option<Tensor>| t.clone().map(|t| Value::Constant(Constant::of(t)));
    let inputs = std::iter::once(Some(first)).chain(inputs[1..].iter().map(constant)).collect();
    let value = lower(&mut importer, Operator { node, inputs, opset })?.into_iter().nth(i);
    let value = match value.with_context(|| format!("it has no output {i}"))? {
        Value::Constant(constant) => return Ok(constant.tensor),
        node => node,
    };
    let shape = importer.shape(&value);
    let (graph, weights) = importer.finish(value)?;
    graph.nodes.iter().try_for_each(|node| check_size(&node.shape))?;
    let graph = Arc::new(graph.with_weights(weights)?.to(DType::F64, &Device::Cpu)?);
    let trace = graph.forward_with(&picture, &mut |_, y| Ok(y))?;
    Ok(trace.value(graph.output)?.reshape(shape)?.to_dtype(x.dtype())?)
}
