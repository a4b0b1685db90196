//! Activations and arithmetic.

use super::super::evaluate::{number, place};
use super::operator::{self, Lower, Operator};
use crate::graph::op::Attribute;
use crate::model::import::{Constant, Importer, Value};
use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};

pub const TABLE: &[(&[&str], Lower)] = &[
    (&["Add", "Sub", "Mul", "Div"], binary),
    (&["Sum", "Mean"], sum),
    (&["Neg"], |importer, o| scaled(importer, &o, -1.0, 0.0)),
    (&["Pow"], pow),
    (&["Sqrt"], |importer, o| power(importer, &o, 0.5)),
    (&["Reciprocal"], |importer, o| power(importer, &o, -1.0)),
    (&["Clip"], clip),
    (&["HardSigmoid"], hard_sigmoid),
    (&["PRelu"], prelu),
    (&["Selu"], selu),
    (&["Swish"], swish),
    (&["Identity", "Cast", "CastLike"], same),
    (&["Dropout"], dropout),
    (&["Softmax", "LogSoftmax"], softmax),
    (&["MatMul", "Gemm", "Linear"], product),
];

fn binary(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let kind = o.node.op.to_lowercase();
    Ok(vec![importer.binary(&kind, o.value(0)?, o.value(1)?)?])
}

/// Returns the input unchanged. A cast has no effect, because values that depend on the picture are always floats.
fn same(_: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    Ok(vec![match o.value(0)? {
        Value::Constant(c) => Value::Constant(Constant { tensor: c.tensor.to_dtype(DType::F32)?, ..c }),
        node => node,
    }])
}

/// Returns the input unchanged, and a mask that keeps all elements.
fn dropout(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let mut shape = importer.shape(&x);
    let per_batch = importer.batch() != 1 && shape.first() == Some(&importer.batch());
    if per_batch {
        shape[0] = 1;
    }
    let mask = Tensor::ones(shape, DType::U8, &Device::Cpu)?;
    Ok(vec![x, Value::Constant(Constant { tensor: mask, name: None, per_batch })])
}

fn sum(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let count = o.inputs.len();
    let mut all = o.value(0)?;
    for i in 1..count {
        all = importer.binary("add", all, o.value(i)?)?;
    }
    if o.node.op == "Mean" {
        return scaled(importer, &Operator { inputs: vec![Some(all)], ..o }, 1.0 / count as f64, 0.0);
    }
    Ok(vec![all])
}

fn scaled(importer: &mut Importer, o: &Operator, factor: f64, shift: f64) -> Result<Vec<Value>> {
    let Value::Node(id, view) = o.value(0)? else { bail!("constant inputs are not supported") };
    let arguments = [("factor", Attribute::Float(factor)), ("shift", Attribute::Float(shift))];
    Ok(vec![Value::Node(importer.add("scale", &arguments, &[id])?, view)])
}

/// An activation. Each attribute becomes the argument with the same name or alias.
pub fn activation(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let spec = operator::activation(&o.node.op).context("the operator is not an activation")?;
    let Value::Node(id, view) = o.value(0)? else { bail!("constant inputs are not supported") };
    let mut arguments = vec![];
    for argument in spec.arguments {
        // ONNX abbreviates PyTorch's names: alpha for negative_slope.
        let names = [&[argument.name, "alpha"], argument.aliases].concat();
        if let Some(value) = names.into_iter().find_map(|name| o.node.attributes.argument(name)) {
            arguments.push((argument.name, value));
        } else if o.node.op == "LeakyRelu" {
            arguments.push((argument.name, Attribute::Float(0.01)));
        }
    }
    Ok(vec![Value::Node(importer.add(spec.kind, &arguments, &[id])?, view)])
}

fn pow(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let exponent = number(&o.constant(1)?.tensor).context("the exponent must be a scalar")?;
    power(importer, &o, exponent)
}

fn power(importer: &mut Importer, o: &Operator, exponent: f64) -> Result<Vec<Value>> {
    let Value::Node(id, view) = o.value(0)? else { bail!("constant inputs are not supported") };
    Ok(vec![Value::Node(importer.add("pow", &[("exponent", Attribute::Float(exponent))], &[id])?, view)])
}

fn clip(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let bound = |i: usize, name: &str, none: f64| match o.given(i)? {
        Some(bound) => number(&bound.tensor),
        None => Ok(o.node.attributes.float(name, none)),
    };
    // A missing bound becomes the largest f32.
    let open = f64::from(f32::MAX);
    let (low, high) = (bound(1, "min", -open)?.max(-open), bound(2, "max", open)?.min(open));
    let Value::Node(id, view) = o.value(0)? else { bail!("constant inputs are not supported") };
    let id = match (low, high) {
        (0.0, 6.0) => importer.add("relu6", &[], &[id])?,
        (0.0, high) if high == open => importer.add("relu", &[], &[id])?,
        _ => {
            let bounds = [("min_val", Attribute::Float(low)), ("max_val", Attribute::Float(high))];
            importer.add("hardtanh", &bounds, &[id])?
        }
    };
    Ok(vec![Value::Node(id, view)])
}

fn hard_sigmoid(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let (alpha, beta) = (o.node.attributes.float("alpha", 0.2), o.node.attributes.float("beta", 0.5));
    let Value::Node(id, view) = o.value(0)? else { bail!("constant inputs are not supported") };
    if (alpha - 1.0 / 6.0).abs() < 1e-6 && beta == 0.5 {
        return Ok(vec![Value::Node(importer.add("hard_sigmoid", &[], &[id])?, view)]);
    }
    let factor = [("factor", Attribute::Float(alpha)), ("shift", Attribute::Float(beta))];
    let line = importer.add_beside("scale", &factor, &[id])?;
    let bounds = [("min_val", Attribute::Float(0.0)), ("max_val", Attribute::Float(1.0))];
    Ok(vec![Value::Node(importer.add("hardtanh", &bounds, &[line])?, view)])
}

/// `max(x, 0) + slope · min(x, 0)`.
fn prelu(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let Value::Node(id, view) = o.value(0)? else { bail!("constant inputs are not supported") };
    let positive = importer.add_beside("relu", &[], &[id])?;
    let bounds = [("min_val", Attribute::Float(f64::from(f32::MIN))), ("max_val", Attribute::Float(0.0))];
    let negative = importer.add_beside("hardtanh", &bounds, &[id])?;
    let mut slope = o.constant(1)?.clone();
    let shape = importer.shape(&Value::Node(id, view.clone()));
    // A one-dimensional slope has one value per channel.
    if let ([count], [_, channels, rest @ ..]) = (slope.tensor.dims(), &shape[..])
        && count == channels
        && (rest.is_empty() || *count != 1)
    {
        slope.tensor = slope.tensor.reshape([&[*count][..], &vec![1; rest.len()]].concat())?;
    }
    let negative = importer.binary("mul", Value::Node(negative, view.clone()), Value::Constant(slope))?;
    Ok(vec![importer.binary("add", Value::Node(positive, view), negative)?])
}

fn selu(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let a = &o.node.attributes;
    let (alpha, gamma) = (a.float("alpha", 1.673_263_192_176_819), a.float("gamma", 1.050_701_022_148_132_3));
    let Value::Node(id, view) = o.value(0)? else { bail!("constant inputs are not supported") };
    let id = importer.add_beside("elu", &[("alpha", Attribute::Float(alpha))], &[id])?;
    scaled(importer, &Operator { inputs: vec![Some(Value::Node(id, view))], ..o }, gamma, 0.0)
}

fn swish(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let alpha = o.node.attributes.float("alpha", 1.0);
    let Value::Node(id, view) = o.value(0)? else { bail!("constant inputs are not supported") };
    if alpha == 1.0 {
        return Ok(vec![Value::Node(importer.add("silu", &[], &[id])?, view)]);
    }
    let line = importer.add_beside(
        "scale",
        &[("factor", Attribute::Float(alpha)), ("shift", Attribute::Float(0.0))],
        &[id],
    )?;
    let gate = importer.add_beside("sigmoid", &[], &[line])?;
    Ok(vec![Value::Node(importer.add("mul", &[], &[id, gate])?, view)])
}

fn softmax(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let kind = if o.node.op == "Softmax" { "softmax" } else { "log_softmax" };
    let (x, old) = (o.value(0)?, o.opset < 13);
    let shape = importer.shape(&x);
    let axis = place(o.int("axis", if old { 1 } else { -1 }), shape.len())?;
    // Before opset 13, all dimensions from the axis on are normalized together.
    let together: usize = shape[axis..].iter().product();
    if !old || together == shape[axis] {
        return Ok(vec![importer.along(kind, x, axis)?]);
    }
    let flat = importer.reshaped(x, &[&shape[..axis], &[together]].concat())?;
    let y = importer.along(kind, flat, axis)?;
    Ok(vec![importer.reshaped(y, &shape)?])
}

/// Converts a product with a weight matrix to a linear layer, and other matrix products to `matmul`.
fn product(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    if o.node.op == "Gemm" {
        return gemm(importer, &o);
    }
    let weight = match o.inputs.get(1).and_then(Option::as_ref) {
        Some(Value::Constant(w)) if w.tensor.rank() == 2 => Some(w.tensor.t()?),
        _ => None,
    };
    let bias = o.given(2)?.map(|b| b.tensor.flatten_all()).transpose()?;
    match weight {
        Some(weight) => Ok(vec![importer.linear(o.value(0)?, weight, bias)?]),
        None => Ok(vec![importer.matmul(o.value(0)?, o.value(1)?)?]),
    }
}

fn gemm(importer: &mut Importer, o: &Operator) -> Result<Vec<Value>> {
    let attributes = &o.node.attributes;
    let w = &o.constant(1)?.tensor;
    let w = if o.int("transB", 0) == 1 { w.clone() } else { w.t()? };
    let weight = (w * attributes.float("alpha", 1.0))?;
    let out = weight.dims2()?.0;
    let x = match (o.int("transA", 0), o.value(0)?) {
        (1, Value::Node(id, view)) => Value::Node(id, view.permuted(&[1, 0])),
        (_, x) => x,
    };
    if let Some(Value::Node(..)) = o.inputs.get(2).and_then(Option::as_ref) {
        let y = importer.linear(x, weight, None)?;
        let c = scaled(
            importer,
            &Operator { inputs: vec![o.inputs[2].clone()], ..o.clone() },
            attributes.float("beta", 1.0),
            0.0,
        )?;
        return Ok(vec![importer.binary("add", y, c[0].clone())?]);
    }
    let Some(bias) = o.given(2)? else { return Ok(vec![importer.linear(x, weight, None)?]) };
    let beta = (&bias.tensor * attributes.float("beta", 1.0))?;
    // A bias that differs between rows becomes an addition.
    if beta.rank() == 2 && beta.dims()[0] > 1 {
        let y = importer.linear(x, weight, None)?;
        return Ok(vec![importer.binary("add", y, Value::Constant(Constant::of(beta)))?]);
    }
    let beta = beta.flatten_all()?.broadcast_as(out)?;
    Ok(vec![importer.linear(x, weight, Some(beta))?])
}
