//! What `models/` scripts build networks with: each method puts one node behind another, in PyTorch's words.
//!
//! `x.conv("conv1", 16, 5, #{ padding: 2 }).relu("relu1").max_pool("pool1", 2).flatten("flatten").linear("fc", 10)`

use super::options::{self, Options};
use crate::graph::op::{self, Op};
use crate::graph::{Builder, Graph, NodeId};
use crate::kernel::{Conv2d, Pool2d, Window};
use crate::script::report::raise;
use anyhow::{Context, Result, ensure};
use rhai::{Array, Dynamic, Engine, EvalAltResult, INT, Map};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A node of a network under construction.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    builder: Arc<Mutex<Builder>>,
    id: NodeId,
}

impl Handle {
    /// The input of a new network for `(C, H, W)` pictures, behind its normalisation unless that changes nothing.
    pub(crate) fn input(shape: &[usize], mean: &[f64], std: &[f64]) -> Result<Self> {
        ensure!(shape.iter().all(|&n| n > 0), "an input needs 1 or more channels, rows and columns, got {shape:?}");
        let input = Self { builder: Arc::new(Mutex::new(Builder::new(shape))), id: 0 };
        if mean.iter().all(|&m| m == 0.0) && std.iter().all(|&s| s == 1.0) {
            return Ok(input);
        }
        input.then("normalize", op::Normalize { mean: mean.to_vec(), std: std.to_vec() })
    }

    /// The network that ends here.
    pub(crate) fn finish(&self) -> Result<Graph> {
        self.lock().clone().finish(self.id)
    }

    /// One node behind this one.
    fn then(&self, name: &str, op: impl Op + 'static) -> Result<Self> {
        self.join(name, op, std::slice::from_ref(self))
    }

    /// One node that reads `inputs`.
    fn join(&self, name: &str, op: impl Op + 'static, inputs: &[Self]) -> Result<Self> {
        let own = |input: &Self| Arc::ptr_eq(&input.builder, &self.builder);
        ensure!(inputs.iter().all(own), "layer \"{name}\" reads a node of another network");
        let ids: Vec<_> = inputs.iter().map(|input| input.id).collect();
        let id = self.lock().add(name, op, &ids)?;
        Ok(Self { builder: self.builder.clone(), id })
    }

    /// `(1, C, H, W)` or `(1, features)`.
    fn shape(&self) -> Vec<usize> {
        self.lock().shape(self.id).to_vec()
    }

    fn channels(&self) -> Result<usize> {
        self.shape().get(1).copied().context("a node without channels")
    }

    fn lock(&self) -> MutexGuard<'_, Builder> {
        self.builder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets scripts build networks.
pub(crate) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Handle>("Node");
    engine.register_get("shape", |x: &mut Handle| -> Array {
        x.shape().into_iter().map(|n| Dynamic::from(n as INT)).collect()
    });
    engine.register_fn("logits", |x: &mut Handle| {
        x.lock().set_logits(x.id);
        x.clone()
    });
    weighted(engine);
    pointwise(engine);
    pools(engine);
    joins(engine);
    moves(engine);
}

fn out(result: Result<Handle>) -> Result<Handle, Box<EvalAltResult>> {
    result.map_err(raise)
}

fn weighted(engine: &mut Engine) {
    engine.register_fn("conv", |x: &mut Handle, name: &str, channels: INT, kernel: Dynamic| {
        out(conv(x, name, channels, &kernel, Map::new()))
    });
    engine.register_fn("conv", |x: &mut Handle, name: &str, channels: INT, kernel: Dynamic, options: Map| {
        out(conv(x, name, channels, &kernel, options))
    });
    engine
        .register_fn("linear", |x: &mut Handle, name: &str, features: INT| out(linear(x, name, features, Map::new())));
    engine.register_fn("linear", |x: &mut Handle, name: &str, features: INT, options: Map| {
        out(linear(x, name, features, options))
    });
    engine.register_fn("batch_norm", |x: &mut Handle, name: &str| out(batch_norm(x, name, Map::new())));
    engine.register_fn("batch_norm", |x: &mut Handle, name: &str, options: Map| out(batch_norm(x, name, options)));
    engine.register_fn("instance_norm", |x: &mut Handle, name: &str| out(instance_norm(x, name, Map::new())));
    engine
        .register_fn("instance_norm", |x: &mut Handle, name: &str, options: Map| out(instance_norm(x, name, options)));
    engine.register_fn("conv_transpose", |x: &mut Handle, name: &str, channels: INT, kernel: Dynamic, options: Map| {
        out(conv_transpose(x, name, channels, &kernel, options))
    });
}

/// `Conv2d`: `stride`, `padding`, `dilation` are one size or `[height, width]`.
fn conv(x: &Handle, name: &str, channels: INT, kernel: &Dynamic, options: Map) -> Result<Handle> {
    let o = Options::new("conv", options, &["stride", "padding", "dilation", "groups", "bias"])?;
    let slide = slide(&o)?;
    let kernel = options::pair(kernel).with_context(|| format!("kernel of layer \"{name}\""))?;
    let output = count(name, "channels", channels)?;
    x.then(name, op::Conv { input: x.channels()?, output, kernel, slide, bias: o.switch("bias", true)? })
}

/// `ConvTranspose2d`; `output_padding` is one size or `[height, width]`.
fn conv_transpose(x: &Handle, name: &str, channels: INT, kernel: &Dynamic, options: Map) -> Result<Handle> {
    let known = ["stride", "padding", "output_padding", "dilation", "groups", "bias"];
    let o = Options::new("conv_transpose", options, &known)?;
    let kernel = options::pair(kernel).with_context(|| format!("kernel of layer \"{name}\""))?;
    let (slide, output_padding) = (slide(&o)?, o.pair("output_padding", (0, 0))?);
    let (input, output, bias) = (x.channels()?, count(name, "channels", channels)?, o.switch("bias", true)?);
    x.then(name, op::ConvTranspose { input, output, kernel, slide, output_padding, bias })
}

fn slide(o: &Options) -> Result<Conv2d> {
    Ok(Conv2d {
        stride: o.pair("stride", (1, 1))?,
        padding: o.pair("padding", (0, 0))?,
        dilation: o.pair("dilation", (1, 1))?,
        groups: o.size("groups", 1)?,
    })
}

fn linear(x: &Handle, name: &str, features: INT, options: Map) -> Result<Handle> {
    let o = Options::new("linear", options, &["bias"])?;
    let output = count(name, "features", features)?;
    x.then(name, op::Linear { input: x.channels()?, output, bias: o.switch("bias", true)? })
}

fn batch_norm(x: &Handle, name: &str, options: Map) -> Result<Handle> {
    let o = Options::new("batch_norm", options, &["eps"])?;
    x.then(name, op::BatchNorm { channels: x.channels()?, epsilon: o.number("eps", 1e-5)? })
}

fn instance_norm(x: &Handle, name: &str, options: Map) -> Result<Handle> {
    let o = Options::new("instance_norm", options, &["eps"])?;
    x.then(name, op::InstanceNorm { channels: x.channels()?, epsilon: o.number("eps", 1e-5)? })
}

/// `(x − mean) / std` of each channel.
fn normalize(x: &Handle, name: &str, mean: &Array, std: &Array) -> Result<Handle> {
    let numbers = |a: &Array| a.iter().map(options::number).collect::<Result<Vec<_>>>();
    let (mean, std, channels) = (numbers(mean)?, numbers(std)?, x.channels()?);
    let fits = |v: &Vec<f64>| v.len() == channels && v.iter().all(|v| v.is_finite());
    ensure!(
        fits(&mean) && fits(&std) && !std.contains(&0.0),
        "layer \"{name}\" needs a mean and a deviation other than 0 for each of {channels} channels"
    );
    x.then(name, op::Normalize { mean, std })
}

/// A number of channels or features: 1 or more.
fn count(name: &str, what: &str, n: INT) -> Result<usize> {
    let n = options::size(&n.into()).with_context(|| format!("{what} of layer \"{name}\""))?;
    ensure!(n > 0, "layer \"{name}\" needs 1 or more {what}");
    Ok(n)
}

fn pointwise(engine: &mut Engine) {
    engine.register_fn("relu", |x: &mut Handle, name: &str| out(x.then(name, op::Relu)));
    engine.register_fn("sigmoid", |x: &mut Handle, name: &str| out(x.then(name, op::Sigmoid)));
    engine.register_fn("tanh", |x: &mut Handle, name: &str| out(x.then(name, op::Tanh)));
    engine.register_fn("sin", |x: &mut Handle, name: &str| out(x.then(name, op::Sin)));
    engine.register_fn("normalize", |x: &mut Handle, name: &str, mean: Array, std: Array| {
        out(normalize(x, name, &mean, &std))
    });
    engine.register_fn("softmax", |x: &mut Handle, name: &str| out(x.then(name, op::Softmax)));
    engine.register_fn("log_softmax", |x: &mut Handle, name: &str| out(x.then(name, op::LogSoftmax)));
    engine.register_fn("leaky_relu", |x: &mut Handle, name: &str| out(x.then(name, op::LeakyRelu { slope: 0.01 })));
    engine.register_fn("leaky_relu", |x: &mut Handle, name: &str, slope: Dynamic| {
        out(options::number(&slope).and_then(|slope| x.then(name, op::LeakyRelu { slope })))
    });
    for (kind, channels) in [("dropout", false), ("dropout2d", true)] {
        engine.register_fn(kind, move |x: &mut Handle, name: &str| out(dropout(x, name, &0.5.into(), channels)));
        engine.register_fn(kind, move |x: &mut Handle, name: &str, p: Dynamic| out(dropout(x, name, &p, channels)));
    }
    engine.register_fn("lrn", |x: &mut Handle, name: &str, size: INT| out(lrn(x, name, size, Map::new())));
    engine.register_fn("lrn", |x: &mut Handle, name: &str, size: INT, options: Map| out(lrn(x, name, size, options)));
}

fn dropout(x: &Handle, name: &str, p: &Dynamic, channels: bool) -> Result<Handle> {
    let p = options::number(p)?;
    ensure!((0.0..=1.0).contains(&p), "layer \"{name}\" drops a share of 0 to 1, got {p}");
    x.then(name, op::Dropout { p, channels })
}

/// `LocalResponseNorm`.
fn lrn(x: &Handle, name: &str, size: INT, options: Map) -> Result<Handle> {
    let o = Options::new("lrn", options, &["alpha", "beta", "k"])?;
    let size = count(name, "neighbours", size)?;
    x.then(
        name,
        op::Lrn { size, alpha: o.number("alpha", 1e-4)?, beta: o.number("beta", 0.75)?, k: o.number("k", 1.0)? },
    )
}

fn pools(engine: &mut Engine) {
    engine.register_fn("max_pool", |x: &mut Handle, name: &str, kernel: Dynamic| {
        out(max_pool(x, name, &kernel, Map::new()))
    });
    engine.register_fn("max_pool", |x: &mut Handle, name: &str, kernel: Dynamic, options: Map| {
        out(max_pool(x, name, &kernel, options))
    });
    engine.register_fn("avg_pool", |x: &mut Handle, name: &str, kernel: Dynamic| {
        out(avg_pool(x, name, &kernel, Map::new()))
    });
    engine.register_fn("avg_pool", |x: &mut Handle, name: &str, kernel: Dynamic, options: Map| {
        out(avg_pool(x, name, &kernel, options))
    });
    engine.register_fn("adaptive_avg_pool", |x: &mut Handle, name: &str, output: Dynamic| {
        out(options::pair(&output).and_then(|output| x.then(name, op::AdaptiveAvgPool { output })))
    });
    engine.register_fn("global_avg_pool", |x: &mut Handle, name: &str| out(x.then(name, op::GlobalAvgPool)));
}

/// `MaxPool2d`; the stride is the kernel where none is given.
fn max_pool(x: &Handle, name: &str, kernel: &Dynamic, options: Map) -> Result<Handle> {
    let o = Options::new("max_pool", options, &["stride", "padding", "dilation", "ceil_mode"])?;
    x.then(name, op::MaxPool { pool: windows(kernel, &o)? })
}

/// `AvgPool2d`; the stride is the kernel where none is given.
fn avg_pool(x: &Handle, name: &str, kernel: &Dynamic, options: Map) -> Result<Handle> {
    let o = Options::new("avg_pool", options, &["stride", "padding", "ceil_mode", "count_include_pad"])?;
    let include_pad = o.switch("count_include_pad", true)?;
    x.then(name, op::AvgPool { pool: windows(kernel, &o)?, include_pad })
}

fn windows(kernel: &Dynamic, o: &Options) -> Result<Pool2d> {
    let kernel = options::pair(kernel).context("the kernel")?;
    let (stride, padding) = (o.pair("stride", kernel)?, o.pair("padding", (0, 0))?);
    let dilation = o.pair("dilation", (1, 1))?;
    ensure!(
        2 * padding.0 <= kernel.0 && 2 * padding.1 <= kernel.1,
        "padding {padding:?} is more than half of the kernel {kernel:?}"
    );
    Ok(Pool2d {
        h: Window::new(kernel.0, stride.0, padding.0, dilation.0),
        w: Window::new(kernel.1, stride.1, padding.1, dilation.1),
        ceil_mode: o.switch("ceil_mode", false)?,
    })
}

fn joins(engine: &mut Engine) {
    engine.register_fn("add", |x: &mut Handle, name: &str, other: Handle| {
        out(x.join(name, op::Add, &[x.clone(), other]))
    });
    engine.register_fn("mul", |x: &mut Handle, name: &str, other: Handle| {
        out(x.join(name, op::Mul, &[x.clone(), other]))
    });
    engine.register_fn("concat", |name: &str, parts: Array| out(concat(name, &parts)));
}

/// `torch.cat` along channels.
fn concat(name: &str, parts: &Array) -> Result<Handle> {
    let node = |part: &Dynamic| part.clone().try_cast::<Handle>();
    let nodes: Option<Vec<_>> = parts.iter().map(node).collect();
    let nodes = nodes.with_context(|| format!("layer \"{name}\" joins nodes, [a, b], and nothing else"))?;
    let first = nodes.first().with_context(|| format!("layer \"{name}\" joins no nodes"))?;
    first.join(name, op::Concat, &nodes)
}

fn moves(engine: &mut Engine) {
    engine.register_fn("flatten", |x: &mut Handle, name: &str| out(x.then(name, op::Flatten)));
    engine.register_fn("reshape", |x: &mut Handle, name: &str, dims: Array| out(reshape(x, name, &dims)));
    engine.register_fn("slice", |x: &mut Handle, name: &str, dim: INT, options: Map| out(slice(x, name, dim, options)));
    engine.register_fn("crop", |x: &mut Handle, name: &str, size: Dynamic| {
        out(options::pair(&size).and_then(|(rows, columns)| x.then(name, op::Crop { rows, columns })))
    });
    engine.register_fn("reflect_pad", |x: &mut Handle, name: &str, size: Dynamic| {
        out(options::pair(&size).and_then(|(rows, columns)| x.then(name, op::ReflectPad { rows, columns })))
    });
    engine.register_fn("pad", |x: &mut Handle, name: &str, dim: INT, before: INT, after: INT| {
        out(pad(x, name, dim, before, after))
    });
}

/// `x[…, start:end:step, …]` in one dimension; negative places count from the end, and none is the end of whatever
/// picture comes.
fn slice(x: &Handle, name: &str, dim: INT, options: Map) -> Result<Handle> {
    let o = Options::new("slice", options, &["start", "end", "step"])?;
    let end = if o.has("end") { Some(o.whole("end", 0)?) } else { None };
    x.then(name, op::Slice { dim: dimension(x, dim)?, start: o.whole("start", 0)?, end, step: o.size("step", 1)? })
}

/// `view`: sizes behind the batch, of which one may be -1, what is left.
fn reshape(x: &Handle, name: &str, dims: &Array) -> Result<Handle> {
    let size = |d: &Dynamic| if d.as_int() == Ok(-1) { Ok(None) } else { options::size(d).map(Some) };
    let dims = dims.iter().map(size).collect::<Result<_>>();
    x.then(name, op::Reshape { dims: dims.with_context(|| format!("sizes of layer \"{name}\""))? })
}

/// Zeros before and behind one dimension.
fn pad(x: &Handle, name: &str, dim: INT, before: INT, after: INT) -> Result<Handle> {
    let dim = dimension(x, dim)?;
    x.then(name, op::Pad { dim, before: options::size(&before.into())?, after: options::size(&after.into())? })
}

/// A dimension; negative ones count from the end.
fn dimension(x: &Handle, dim: INT) -> Result<usize> {
    let shape = x.shape();
    let place = if dim < 0 { dim + shape.len() as INT } else { dim };
    let place = usize::try_from(place).ok().filter(|&d| d < shape.len());
    place.with_context(|| format!("no dimension {dim} in the shape {shape:?}"))
}
