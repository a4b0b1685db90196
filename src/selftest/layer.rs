//! Builds layers from their descriptions in a test case. Names and options follow PyTorch.

use super::value::{list, number, tensor, text};
use crate::graph::op::{self, Attribute, OpSpec};
use crate::graph::{Builder, NodeId};
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use std::collections::BTreeMap;

/// Keys of a layer's parameters in a case, and the corresponding names in a weight file.
const NUMBERS: [(&str, &str); 6] = [
    ("weight", "weight"),
    ("bias", "bias"),
    ("gamma", "weight"),
    ("beta", "bias"),
    ("mean", "running_mean"),
    ("var", "running_var"),
];

/// Maximum value of an integer option, such as a size or a count, in a case.
const LARGEST: u64 = 256;

/// Adds a layer to the network under construction, and its weights, by full name, to `weights`. Returns the layer's name and
/// node.
pub(super) fn add(
    builder: &mut Builder,
    layer: &Value,
    known: &BTreeMap<String, NodeId>,
    weights: &mut BTreeMap<String, Tensor>,
) -> Result<(String, NodeId)> {
    let name = text(layer, "name")?.to_string();
    let input = |v: &Value| v.as_str().and_then(|n| known.get(n).copied()).context("a layer has an unknown input");
    let inputs = list(&layer["in"])?.iter().map(input).collect::<Result<Vec<_>>>()?;
    let first = *inputs.first().with_context(|| format!("layer \"{name}\" has no inputs"))?;
    for (key, of) in NUMBERS {
        if let Some(values) = layer.get(key).filter(|v| v.is_array()) {
            weights.insert(format!("{name}.{of}"), tensor(values)?);
        }
    }
    let id = match text(layer, "op")? {
        "affine" => affine(builder, layer, &name, first, weights)?,
        "square" => builder.add(&name, op::Mul, &[first, first])?,
        "sub" => {
            let [first, second] = inputs[..] else { bail!("layer \"{name}\" needs exactly two inputs") };
            difference(builder, &name, first, second, weights)?
        }
        "sum" => sum(builder, weights, &name, first, None)?,
        kind => {
            let spec = op::spec(kind).with_context(|| format!("unknown operation \"{kind}\""))?;
            own(builder, spec, layer, &name, &inputs, weights).with_context(|| format!("layer \"{name}\""))?
        }
    };
    Ok((name, id))
}

/// Adds a layer that maps to a single operation of the graph module.
fn own(
    builder: &mut Builder,
    spec: &'static OpSpec,
    layer: &Value,
    name: &str,
    inputs: &[NodeId],
    weights: &mut BTreeMap<String, Tensor>,
) -> Result<NodeId> {
    let shapes: Vec<_> = inputs.iter().map(|&id| builder.shape(id).to_vec()).collect();
    let shapes: Vec<_> = shapes.iter().map(Vec::as_slice).collect();
    let of =
        |key: &&str| layer.get(*key).filter(|v| !(v.is_null() || v.is_array() && NUMBERS.iter().any(|n| n.0 == *key)));
    let keys = spec.arguments.iter().map(|argument| argument.name);
    let given = keys.filter_map(|key| of(&key).map(|value| Ok((key.to_string(), attribute(value)?))));
    let mut given = given.collect::<Result<Vec<_>>>()?;
    if let Some(from_shapes) = spec.from_shapes {
        let prefix = format!("{name}.");
        let parameters =
            weights.iter().filter_map(|(full, t)| Some((full.strip_prefix(&prefix)?.into(), t.dims().to_vec())));
        given.extend(from_shapes(&parameters.collect())?.into_iter().map(|(key, value)| (key.to_string(), value)));
    }
    let op = spec.build(given, &shapes)?;
    // A batch norm without weight or bias has weight 1 and bias 0.
    if spec.kind == "batch_norm" {
        for (of, number) in [("weight", 1.0), ("bias", 0.0)] {
            let own = weights.entry(format!("{name}.{of}"));
            own.or_insert(Tensor::full(number, shapes[0][1], &Device::Cpu)?);
        }
    }
    builder.add_shared(name, op, inputs)
}

/// Converts a JSON value to an attribute of an operation. Errors if an integer exceeds [`LARGEST`].
fn attribute(value: &Value) -> Result<Attribute> {
    Ok(match value {
        Value::Bool(b) => Attribute::Bool(*b),
        Value::Number(n) => match n.as_i64() {
            Some(n) if n.unsigned_abs() <= LARGEST => Attribute::Int(n),
            Some(n) => bail!("{n} is too large; at most {LARGEST} is supported"),
            None => Attribute::Float(n.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Attribute::Text(text.clone()),
        Value::Array(items) => Attribute::List(items.iter().map(attribute).collect::<Result<_>>()?),
        Value::Null | Value::Object(_) => Attribute::Other("a map".into()),
    })
}

/// Adds `scale · x + shift`, expressed as a linear operation.
fn affine(
    builder: &mut Builder,
    layer: &Value,
    name: &str,
    id: NodeId,
    weights: &mut BTreeMap<String, Tensor>,
) -> Result<NodeId> {
    let size = *builder.shape(id).get(1).context("the input has no features")?;
    let eye = (Tensor::eye(size, DType::F64, &Device::Cpu)? * number(layer, "scale")?)?;
    weights.insert(format!("{name}.weight"), eye);
    weights.insert(format!("{name}.bias"), Tensor::full(number(layer, "shift")?, size, &Device::Cpu)?);
    builder.add(name, op::Linear { input: size, output: size, bias: true }, &[id])
}

/// Adds `first − second`, expressed as a sum whose second input is negated.
fn difference(
    builder: &mut Builder,
    name: &str,
    first: NodeId,
    second: NodeId,
    weights: &mut BTreeMap<String, Tensor>,
) -> Result<NodeId> {
    let minus = format!("{name}.minus");
    let channels = *builder.shape(second).get(1).context("the input has no channels")?;
    for (of, number) in [("weight", -1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
        weights.insert(format!("{minus}.{of}"), Tensor::full(number, channels, &Device::Cpu)?);
    }
    let second = builder.add(&minus, op::BatchNorm::new(channels, 0.0), &[second])?;
    builder.add(name, op::Add, &[first, second])
}

/// Adds the sum of all outputs of the node `id`, weighted by `factors` if given. The result has shape `(N, 1)`.
pub(super) fn sum(
    builder: &mut Builder,
    weights: &mut BTreeMap<String, Tensor>,
    name: &str,
    id: NodeId,
    factors: Option<&[f64]>,
) -> Result<NodeId> {
    let flat = builder.add(&format!("{name}.flat"), op::Flatten, &[id])?;
    let input = builder.shape(flat)[1];
    let weight = match factors {
        None => Tensor::ones((1, input), DType::F64, &Device::Cpu)?,
        Some(factors) => {
            ensure!(factors.len() == input, "got {} weights for {input} outputs", factors.len());
            Tensor::from_slice(factors, (1, input), &Device::Cpu)?
        }
    };
    weights.insert(format!("{name}.weight"), weight);
    builder.add(name, op::Linear { input, output: 1, bias: false }, &[flat])
}
