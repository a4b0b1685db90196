//! Layers described in JSON, as the cases have them, with PyTorch's names and options.

use super::value::{list, number, pair, tensor, text, whole};
use crate::graph::{Builder, NodeId, op};
use crate::kernel::{Conv2d, Pool2d, Window};
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a layer's lists of numbers are called in a case, and in a weight file.
const NUMBERS: [(&str, &str); 6] = [
    ("weight", "weight"),
    ("bias", "bias"),
    ("gamma", "weight"),
    ("beta", "bias"),
    ("mean", "running_mean"),
    ("var", "running_var"),
];

/// The sizes of a layer's weight, as many as its kind has.
fn weight<const N: usize>(weights: &BTreeMap<String, Tensor>, name: &str) -> Result<[usize; N]> {
    let weight = weights.get(&format!("{name}.weight")).with_context(|| format!("layer \"{name}\" has no weight"))?;
    let sizes = weight.dims().try_into();
    sizes.with_context(|| format!("the weight of layer \"{name}\" has {} dimensions instead of {N}", weight.rank()))
}

/// Adds one layer with its weights, which are kept by their full names; gives its name and its node.
pub(super) fn add(
    builder: &mut Builder,
    layer: &Value,
    known: &BTreeMap<String, NodeId>,
    weights: &mut BTreeMap<String, Tensor>,
) -> Result<(String, NodeId)> {
    let name = text(layer, "name")?.to_string();
    let input = |v: &Value| v.as_str().and_then(|n| known.get(n).copied()).context("a layer reads something unknown");
    let inputs = list(&layer["in"])?.iter().map(input).collect::<Result<Vec<_>>>()?;
    let shape = builder.shape(*inputs.first().with_context(|| format!("layer \"{name}\" reads nothing"))?).to_vec();
    for (key, of) in NUMBERS {
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
            for (of, number) in [("weight", 1.0), ("bias", 0.0)] {
                let own = weights.entry(format!("{name}.{of}"));
                own.or_insert(Tensor::full(number, shape[1], &Device::Cpu)?);
            }
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
            let place = |key: &str| {
                let given = layer.get(key).filter(|v| !v.is_null());
                given.map(|v| v.as_i64().with_context(|| format!("\"{key}\" is a whole number"))).transpose()
            };
            let (start, end) = (place("start")?.unwrap_or(0), place("end")?);
            builder.add(&name, op::Slice { dim, start, end, step }, &inputs)?
        }
        "leaky_relu" => builder.add(&name, op::LeakyRelu { slope: number(layer, "slope")? }, &inputs)?,
        "square" => builder.add(&name, op::Mul, &[inputs[0], inputs[0]])?,
        "relu" => builder.add(&name, op::Relu, &inputs)?,
        "sigmoid" => builder.add(&name, op::Sigmoid, &inputs)?,
        "tanh" => builder.add(&name, op::Tanh, &inputs)?,
        "sin" => builder.add(&name, op::Sin, &inputs)?,
        "global_avg_pool" => builder.add(&name, op::GlobalAvgPool, &inputs)?,
        "add" => builder.add(&name, op::Add, &inputs)?,
        "sub" => {
            let [first, second] = inputs[..] else { bail!("layer \"{name}\" is the difference of two") };
            let minus = format!("{name}.minus");
            let channels = *builder.shape(second).get(1).context("a value without channels")?;
            for (of, number) in [("weight", -1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
                weights.insert(format!("{minus}.{of}"), Tensor::full(number, channels, &Device::Cpu)?);
            }
            let second = builder.add(&minus, op::BatchNorm { channels, epsilon: 0.0 }, &[second])?;
            builder.add(&name, op::Add, &[first, second])?
        }
        "sum" => sum(builder, weights, &name, inputs[0], None)?,
        "mul" => builder.add(&name, op::Mul, &inputs)?,
        "concat" => builder.add(&name, op::Concat, &inputs)?,
        "flatten" => builder.add(&name, op::Flatten, &inputs)?,
        "dropout" => builder.add(&name, op::Dropout { p: 0.0, channels: false }, &inputs)?,
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

/// The sum of all that a layer gives, each times its factor if there are some; `(N, 1)`.
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
            ensure!(factors.len() == input, "{} weights for {input} outputs", factors.len());
            Tensor::from_slice(factors, (1, input), &Device::Cpu)?
        }
    };
    weights.insert(format!("{name}.weight"), weight);
    builder.add(name, op::Linear { input, output: 1, bias: false }, &[flat])
}
