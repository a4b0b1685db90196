//! A network described in JSON, as the cases have it: layers with PyTorch's names and options.

use crate::graph::{Builder, Graph, NodeId, op};
use crate::kernel::{Conv2d, Pool2d, Window};
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use std::collections::BTreeMap;

/// The greatest size that a small network may have.
const LARGEST: u64 = 256;

/// The graph that a case describes, and its input; several inputs are channels of one.
pub(super) fn network(network: &Value, inputs: &Value) -> Result<(Graph, Tensor)> {
    let names: Vec<_> = network["inputs"].as_object().context("a network has inputs")?.keys().collect();
    let tensors = names.iter().map(|name| tensor(&inputs[name.as_str()])).collect::<Result<Vec<_>>>()?;
    ensure!(tensors.iter().all(|x| x.rank() >= 2), "an input is (N, channels, …) numbers");
    let x = Tensor::cat(&tensors, 1)?;
    let mut builder = Builder::new(&x.dims()[1..]);
    let mut known = BTreeMap::new();
    let mut start = 0;
    for (name, part) in names.iter().zip(&tensors) {
        let end = start + part.dims()[1];
        let id = match tensors.len() {
            1 => 0,
            _ => builder.add(name, op::Slice { dim: 1, start, end, step: 1 }, &[0])?,
        };
        known.insert((*name).clone(), id);
        start = end;
    }
    let mut weights = BTreeMap::new();
    for layer in list(&network["layers"])? {
        let (name, id) = add(&mut builder, layer, &known, &mut weights)?;
        known.insert(name, id);
    }
    let output = text(network, "output")?;
    let output = *known.get(output).with_context(|| format!("the output \"{output}\" is no layer"))?;
    Ok((builder.finish(output)?.with_weights(weights)?, x))
}

/// The sizes of a layer's weight, as many as its kind has.
fn weight<const N: usize>(weights: &BTreeMap<String, Tensor>, name: &str) -> Result<[usize; N]> {
    let weight = weights.get(&format!("{name}.weight")).with_context(|| format!("layer \"{name}\" has no weight"))?;
    let sizes = weight.dims().try_into();
    sizes.with_context(|| format!("the weight of layer \"{name}\" has {} dimensions instead of {N}", weight.rank()))
}

/// Adds one layer with its weights, which are kept by their full names.
fn add(
    builder: &mut Builder,
    layer: &Value,
    known: &BTreeMap<String, NodeId>,
    weights: &mut BTreeMap<String, Tensor>,
) -> Result<(String, NodeId)> {
    let name = text(layer, "name")?.to_string();
    let input = |v: &Value| v.as_str().and_then(|n| known.get(n).copied()).context("a layer reads something unknown");
    let inputs = list(&layer["in"])?.iter().map(input).collect::<Result<Vec<_>>>()?;
    let shape = builder.shape(*inputs.first().with_context(|| format!("layer \"{name}\" reads nothing"))?).to_vec();
    for (key, of) in [("weight", "weight"), ("bias", "bias"), ("mean", "running_mean"), ("var", "running_var")] {
        if let Some(values) = layer.get(key).filter(|v| v.is_array()) {
            weights.insert(format!("{name}.{of}"), tensor(values)?);
        }
    }
    let id = match text(layer, "op")? {
        "conv2d" => {
            let [output, _, h, w] = weight(weights, &name)?;
            let slide = Conv2d {
                stride: pair(layer, "stride", 1)?,
                padding: pair(layer, "padding", 0)?,
                dilation: pair(layer, "dilation", 1)?,
                groups: whole(layer, "groups", 1)?,
            };
            let bias = weights.contains_key(&format!("{name}.bias"));
            builder.add(&name, op::Conv { input: shape[1], output, kernel: (h, w), slide, bias }, &inputs)?
        }
        "linear" => {
            let [output, input] = weight(weights, &name)?;
            let bias = weights.contains_key(&format!("{name}.bias"));
            builder.add(&name, op::Linear { input, output, bias }, &inputs)?
        }
        "affine" => {
            let size = shape[1];
            let scale = number(layer, "scale")?;
            let eye = (Tensor::eye(size, DType::F64, &Device::Cpu)? * scale)?;
            weights.insert(format!("{name}.weight"), eye);
            weights.insert(format!("{name}.bias"), Tensor::full(number(layer, "shift")?, size, &Device::Cpu)?);
            builder.add(&name, op::Linear { input: size, output: size, bias: true }, &inputs)?
        }
        "batchnorm2d" => {
            builder.add(&name, op::BatchNorm { channels: shape[1], epsilon: number(layer, "eps")? }, &inputs)?
        }
        "maxpool2d" => builder.add(&name, op::MaxPool { pool: pool(layer)? }, &inputs)?,
        "avgpool2d" => {
            let include_pad = layer["include_pad"].as_bool().unwrap_or(true);
            builder.add(&name, op::AvgPool { pool: pool(layer)?, include_pad }, &inputs)?
        }
        "adaptive_avg_pool2d" => {
            builder.add(&name, op::AdaptiveAvgPool { output: pair(layer, "output", 1)? }, &inputs)?
        }
        "lrn" => {
            let (alpha, beta, k) = (number(layer, "alpha")?, number(layer, "beta")?, number(layer, "k")?);
            builder.add(&name, op::Lrn { size: whole(layer, "size", 1)?, alpha, beta, k }, &inputs)?
        }
        "slice" => {
            let (dim, step) = (whole(layer, "dim", 1)?, whole(layer, "step", 1)?);
            let end = *shape.get(dim).with_context(|| format!("layer \"{name}\" slices no dimension {dim}"))?;
            builder.add(&name, op::Slice { dim, start: 0, end, step }, &inputs)?
        }
        "leaky_relu" => builder.add(&name, op::LeakyRelu { slope: number(layer, "slope")? }, &inputs)?,
        "square" => builder.add(&name, op::Mul, &[inputs[0], inputs[0]])?,
        "relu" => builder.add(&name, op::Relu, &inputs)?,
        "sigmoid" => builder.add(&name, op::Sigmoid, &inputs)?,
        "tanh" => builder.add(&name, op::Tanh, &inputs)?,
        "global_avg_pool" => builder.add(&name, op::GlobalAvgPool, &inputs)?,
        "add" => builder.add(&name, op::Add, &inputs)?,
        "mul" => builder.add(&name, op::Mul, &inputs)?,
        "concat" => builder.add(&name, op::Concat, &inputs)?,
        "flatten" => builder.add(&name, op::Flatten, &inputs)?,
        "softmax" => builder.add(&name, op::Softmax, &inputs)?,
        "log_softmax" => builder.add(&name, op::LogSoftmax, &inputs)?,
        other => bail!("the operation \"{other}\" is not known"),
    };
    Ok((name, id))
}

fn pool(layer: &Value) -> Result<Pool2d> {
    let (kernel, padding) = (pair(layer, "kernel", 1)?, pair(layer, "padding", 0)?);
    let stride = if layer.get("stride").is_some() { pair(layer, "stride", 1)? } else { kernel };
    let ceil_mode = layer["ceil"].as_bool().unwrap_or(false);
    Ok(Pool2d {
        h: Window::new(kernel.0, stride.0, padding.0, 1),
        w: Window::new(kernel.1, stride.1, padding.1, 1),
        ceil_mode,
    })
}

pub(super) fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("expected a list")
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("\"{key}\" is missing"))
}

fn number(value: &Value, key: &str) -> Result<f64> {
    value[key].as_f64().with_context(|| format!("\"{key}\" is missing"))
}

/// A whole number, `default` where there is none.
fn whole(value: &Value, key: &str, default: usize) -> Result<usize> {
    value.get(key).map_or(Ok(default), |v| size(v).with_context(|| format!("\"{key}\"")))
}

fn size(value: &Value) -> Result<usize> {
    let size = value.as_u64().filter(|&n| n <= LARGEST);
    Ok(size.with_context(|| format!("expected a whole number from 0 to {LARGEST}, got {value}"))? as usize)
}

/// One number for both, or two.
fn pair(value: &Value, key: &str, default: usize) -> Result<(usize, usize)> {
    match value[key].as_array().map(Vec::as_slice) {
        Some([h, w]) => Ok((size(h)?, size(w)?)),
        Some(_) => bail!("\"{key}\" is one number or two"),
        None => whole(value, key, default).map(|n| (n, n)),
    }
}

/// Nested lists as an f64 tensor.
pub(super) fn tensor(value: &Value) -> Result<Tensor> {
    let mut shape = vec![];
    let mut first = value;
    while let Some(items) = first.as_array() {
        shape.push(items.len());
        first = items.first().context("an empty list")?;
    }
    let mut numbers = vec![];
    flatten(value, &mut numbers)?;
    Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?)
}

fn flatten(value: &Value, numbers: &mut Vec<f64>) -> Result<()> {
    match value.as_array() {
        Some(items) => items.iter().try_for_each(|item| flatten(item, numbers)),
        None => {
            numbers.push(value.as_f64().context("expected a number")?);
            Ok(())
        }
    }
}
