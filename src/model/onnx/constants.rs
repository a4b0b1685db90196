//! Evaluates operators whose inputs are all constants: directly, or as a small network whose input is the operator's first input.

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

/// Resizes a constant, such as position embeddings for another input size.
fn resized(node: &Node, inputs: &[Option<Tensor>], opset: i64) -> Result<Tensor> {
    let given = |i: usize| inputs.get(i).and_then(Option::as_ref);
    let x = given(0).context("no input")?;
    resample::Resampling::of(node, [given(1), given(2), given(3)], x.dims(), opset)?.apply(x)
}

/// The outputs of an operator, computed by a network that consists of this operator; `None` if it is not supported.
fn by_network(node: &Node, inputs: &[Option<Tensor>], opset: i64) -> Result<Option<Vec<Tensor>>> {
    if lower(&node.op).is_none() {
        return Ok(None);
    }
    let variant = node.unsupported();
    ensure!(variant.is_none(), "{} with {} is not supported", node.op, variant.unwrap_or_default());
    // Networks hold their constants in f32.
    let is_exact = |t: &Tensor| anyhow::Ok(t.dtype().is_float() || numbers(t)?.iter().all(|v| v.abs() <= 16_777_216.0));
    for t in inputs.iter().flatten() {
        ensure!(is_exact(t)?, "integers above 2^24 are not supported for this operator");
        ensure!(t.elem_count() > 0, "empty constants are not supported for this operator");
    }
    let x = inputs.first().and_then(Option::as_ref).context("the first input is missing")?;
    let count = node.outputs.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
    let all = |batched: bool| -> Result<Vec<Tensor>> {
        let one = |i: usize| match node.outputs[i].is_empty() {
            true => Ok(x.clone()),
            false => output(node, inputs, opset, (i, batched)),
        };
        (0..count).map(one).collect()
    };
    // The first dimension may be a batch dimension, as in the input of a convolution.
    all(false).or_else(|error| if x.rank() > 1 { all(true) } else { Err(error) }).map(Some)
}

/// Output `i` of an operator, computed by a network whose input is the operator's first input. If `batched`, the first dimension of the
/// input is the batch dimension.
fn output(node: &Node, inputs: &[Option<Tensor>], opset: i64, (i, batched): (usize, bool)) -> Result<Tensor> {
    let lower = lower(&node.op).context("not supported")?;
    let x = inputs.first().and_then(Option::as_ref).context("the first input is missing")?;
    let (mut importer, first, picture) = Importer::of_tensor(&x.to_dtype(DType::F64)?, batched)?;
    let constant = |t: &Option<Tensor>| t.clone().map(|t| Value::Constant(Constant::of(t)));
    let inputs = std::iter::once(Some(first)).chain(inputs[1..].iter().map(constant)).collect();
    let value = lower(&mut importer, Operator { node, inputs, opset })?.into_iter().nth(i);
    let value = match value.with_context(|| format!("the operator has no output {i}"))? {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::op::Attribute;
    use crate::model::onnx::program::Attributes;

    fn node(op: &str, attributes: &[(&str, Attribute)]) -> Node {
        let attributes = Attributes::of(attributes);
        Node {
            op: op.into(),
            attributes,
            inputs: vec![],
            outputs: vec!["y".into()],
            module: String::new(),
            name: String::new(),
        }
    }

    fn counted(shape: &[usize]) -> Option<Tensor> {
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|i| ((i * 7) % 5) as f32 - 1.5).collect();
        Some(Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
    }

    #[test]
    fn a_product_of_constants_is_the_sum_over_the_labels_that_the_output_lacks() {
        let einsum = node("Einsum", &[("equation", Attribute::Text("nhw,ixh->nixw".into()))]);
        let (a, b) = (counted(&[2, 3, 4]).unwrap(), counted(&[5, 6, 3]).unwrap());
        let y = compute(&einsum, &[Some(a.clone()), Some(b.clone())], 17).unwrap().unwrap().remove(0);
        assert_eq!((y.dims(), y.dtype()), (&[2, 5, 6, 4][..], DType::F32));
        let at = |t: &Tensor, i: usize, j: usize, k: usize| {
            t.get(i).unwrap().get(j).unwrap().get(k).unwrap().to_scalar::<f32>().unwrap()
        };
        for (n, i, x, w) in [(0, 0, 0, 0), (1, 4, 5, 3), (1, 2, 3, 1)] {
            let expected: f32 = (0..3).map(|h| at(&a, n, h, w) * at(&b, i, x, h)).sum();
            assert_eq!(at(&y.get(n).unwrap(), i, x, w), expected);
        }
    }

    #[test]
    fn layers_of_constants_are_computed_whatever_their_first_dimension_is() {
        let kernel = Attribute::List(vec![Attribute::Int(2); 2]);
        let pool = node("AveragePool", &[("kernel_shape", kernel)]);
        for count in [1, 3] {
            let x = counted(&[count, 2, 3, 3]);
            let y = compute(&pool, std::slice::from_ref(&x), 17).unwrap().unwrap().remove(0);
            assert_eq!(y.dims(), [count, 2, 2, 2]);
            let first = x.unwrap().narrow(2, 0, 2).unwrap().narrow(3, 0, 2).unwrap();
            let mean = first.mean((2, 3)).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let corners = y.narrow(2, 0, 1).unwrap().narrow(3, 0, 1).unwrap();
            assert_eq!(corners.flatten_all().unwrap().to_vec1::<f32>().unwrap(), mean);
        }
    }

    #[test]
    fn constants_that_a_network_cannot_hold_are_errors() {
        let einsum = node("Einsum", &[("equation", Attribute::Text("a,b->ab".into()))]);
        let large = Some(Tensor::new(&[1i64 << 40, 3], &Device::Cpu).unwrap());
        let empty = Some(Tensor::zeros(0, DType::F32, &Device::Cpu).unwrap());
        for (x, told) in [(large, "above 2^24"), (empty, "empty"), (None, "missing")] {
            let error = format!("{:#}", compute(&einsum, &[x, counted(&[2])], 17).unwrap_err());
            assert!(error.contains(told), "{error}");
        }
        assert!(compute(&node("Unheard", &[]), &[counted(&[2])], 17).unwrap().is_none());
    }
}
