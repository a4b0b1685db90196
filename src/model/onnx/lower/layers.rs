//! Convolutions, pools, norms and reductions.

use super::super::evaluate::{axes, integers, place};
use super::{Lower, Operator, pair};
use crate::graph::NodeId;
use crate::graph::op::Attribute;
use crate::model::import::{Importer, Value, View, int};
use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;

pub const TABLE: &[(&[&str], Lower)] = &[
    (&["Conv"], conv),
    (&["ConvTranspose"], conv_transpose),
    (&["MaxPool", "AveragePool"], pool),
    (&["GlobalAveragePool"], |importer, o| reduce_all(importer, &o, "mean")),
    (&["GlobalMaxPool"], |importer, o| reduce_all(importer, &o, "amax")),
    (&["ReduceMean"], |importer, o| reduce(importer, &o, "mean")),
    (&["ReduceSum"], |importer, o| reduce(importer, &o, "sum")),
    (&["ReduceMax"], |importer, o| reduce(importer, &o, "amax")),
    (&["BatchNormalization"], batch_norm),
    (&["InstanceNormalization"], instance_norm),
    (&["GroupNormalization"], group_norm),
    (&["LayerNormalization", "RMSNormalization"], layer_norm),
    (&["LRN"], lrn),
];

/// A window that slides over a map: height and width of the kernel, stride, dilation, and the padding before and after.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    before: [usize; 2],
    after: [usize; 2],
    ceil: bool,
}

impl Window {
    /// Reads the window of an operator over a map of height and width `size`.
    fn of(o: &Operator, kernel: [usize; 2], size: [usize; 2]) -> Result<Self> {
        let two = |name: &str| -> Result<[usize; 2]> {
            Ok(match o.sizes(name)?.as_deref() {
                None => [1, 1],
                Some([n]) => [1, *n],
                Some([h, w]) => [*h, *w],
                Some(other) => bail!("\"{name}\" has {} values; maps have two dimensions", other.len()),
            })
        };
        let (stride, dilation) = (two("strides")?, two("dilations")?);
        ensure!(!stride.contains(&0), "a stride of 0");
        let (mut before, mut after) = match o.sizes("pads")?.as_deref() {
            None => ([0, 0], [0, 0]),
            Some([b, a]) => ([0, *b], [0, *a]),
            Some([t, l, b, r]) => ([*t, *l], [*b, *r]),
            Some(other) => bail!("\"pads\" has {} values; maps have two dimensions", other.len()),
        };
        let auto = o.node.attributes.text("auto_pad", "NOTSET");
        if auto.starts_with("SAME") {
            for d in 0..2 {
                let span = dilation[d] * (kernel[d].max(1) - 1) + 1;
                let all = ((size[d].div_ceil(stride[d]) - 1) * stride[d] + span).saturating_sub(size[d]);
                (before[d], after[d]) = (all / 2, all - all / 2);
                if auto == "SAME_LOWER" {
                    (before[d], after[d]) = (after[d], before[d]);
                }
            }
        }
        Ok(Self { kernel, stride, dilation, before, after, ceil: o.int("ceil_mode", 0) == 1 })
    }

    /// Whether the padding is the same on both sides.
    fn is_even(&self) -> bool {
        self.before == self.after
    }
}

/// The value as maps `(N, C, H, W)`, and whether it had only one dimension of positions.
fn maps(importer: &mut Importer, x: Value) -> Result<(NodeId, bool)> {
    let shape = importer.shape(&x);
    let line = shape.len() == 3;
    ensure!(
        line || shape.len() == 4,
        "a value of {} is not a map; three-dimensional data is not supported",
        importer.shape_text(&shape)
    );
    let x = if line { importer.unsqueezed(x, &[2])? } else { x };
    Ok((importer.batch_first(x)?, line))
}

/// The value of a node with maps, without the height that [`maps`] added.
fn unmapped(importer: &mut Importer, id: NodeId, line: bool) -> Result<Vec<Value>> {
    let value = Value::Node(id, View::natural(4));
    Ok(vec![if line { importer.squeezed(value, &[2])? } else { value }])
}

fn size_of(importer: &Importer, id: NodeId) -> [usize; 2] {
    let sizes = importer.sizes(id);
    [sizes[2], sizes[3]]
}

/// Adds zeros, or `value`, around a map where the padding of both sides differs; returns the padding that is left to the window.
fn padded(importer: &mut Importer, mut id: NodeId, window: &Window, value: f64) -> Result<(NodeId, [usize; 2])> {
    if window.is_even() {
        return Ok((id, window.before));
    }
    for d in 0..2 {
        let (before, after) = (window.before[d], window.after[d]);
        if before + after > 0 {
            let mut arguments = vec![("dim", int(d + 2)), ("before", int(before)), ("after", int(after))];
            if value != 0.0 {
                arguments.push(("value", Attribute::Float(value)));
            }
            id = importer.add_beside("pad", &arguments, &[id])?;
        }
    }
    Ok((id, [0, 0]))
}

fn conv(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let mut weight = o.constant(1)?.tensor.clone();
    let (id, line) = maps(importer, o.value(0)?)?;
    if line && weight.rank() == 3 {
        weight = weight.unsqueeze(2)?;
    }
    let (out, _, h, w) = weight.dims4().context("the weight of a convolution of maps has four dimensions")?;
    let window = Window::of(&o, [h, w], size_of(importer, id))?;
    let (id, padding) = padded(importer, id, &window, 0.0)?;
    let bias = o.given(2)?.map(|b| b.tensor.clone());
    let arguments = [
        ("out_channels", int(out)),
        ("kernel_size", pair(&[h, w])),
        ("stride", pair(&window.stride)),
        ("padding", pair(&padding)),
        ("dilation", pair(&window.dilation)),
        ("groups", Attribute::Int(o.int("group", 1))),
        ("bias", Attribute::Bool(bias.is_some())),
    ];
    let parameters = std::iter::once(("weight", weight)).chain(bias.map(|b| ("bias", b))).collect();
    let id = importer.add_with("conv", &arguments, &[id], parameters)?;
    unmapped(importer, id, line)
}

fn conv_transpose(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let mut weight = o.constant(1)?.tensor.clone();
    let (id, line) = maps(importer, o.value(0)?)?;
    if line && weight.rank() == 3 {
        weight = weight.unsqueeze(2)?;
    }
    let (_, out, h, w) = weight.dims4().context("the weight of a convolution of maps has four dimensions")?;
    let groups = usize::try_from(o.int("group", 1)).context("a negative number of groups")?;
    let window = Window::of(&o, [h, w], size_of(importer, id))?;
    let same = o.node.attributes.text("auto_pad", "NOTSET");
    ensure!(
        window.is_even() && !same.starts_with("SAME") && !o.node.attributes.has("output_shape"),
        "uneven padding of a transposed convolution"
    );
    let more = match o.sizes("output_padding")?.as_deref() {
        None => [0, 0],
        Some([n]) => [0, *n],
        Some([h, w]) => [*h, *w],
        Some(_) => bail!("\"output_padding\" must have two values"),
    };
    let bias = o.given(2)?.map(|b| b.tensor.clone());
    let arguments = [
        ("out_channels", int(out * groups)),
        ("kernel_size", pair(&[h, w])),
        ("stride", pair(&window.stride)),
        ("padding", pair(&window.before)),
        ("output_padding", pair(&more)),
        ("dilation", pair(&window.dilation)),
        ("groups", int(groups)),
        ("bias", Attribute::Bool(bias.is_some())),
    ];
    let parameters = std::iter::once(("weight", weight)).chain(bias.map(|b| ("bias", b))).collect();
    let id = importer.add_with("conv_transpose", &arguments, &[id], parameters)?;
    unmapped(importer, id, line)
}

fn pool(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    ensure!(o.node.outputs.iter().skip(1).all(String::is_empty), "the indices of a MaxPool are not supported");
    let max = o.node.op == "MaxPool";
    let (id, line) = maps(importer, o.value(0)?)?;
    let kernel = match o.sizes("kernel_shape")?.as_deref() {
        Some([n]) => [1, *n],
        Some([h, w]) => [*h, *w],
        _ => bail!("\"kernel_shape\" must have two values"),
    };
    let window = Window::of(&o, kernel, size_of(importer, id))?;
    let counted = o.int("count_include_pad", 0) == 1;
    ensure!(
        max || window.is_even() || counted,
        "an AveragePool whose padding differs between sides and does not count"
    );
    let (id, padding) = padded(importer, id, &window, if max { f64::from(f32::MIN) } else { 0.0 })?;
    let mut arguments = vec![
        ("kernel_size", pair(&window.kernel)),
        ("stride", pair(&window.stride)),
        ("padding", pair(&padding)),
        ("ceil_mode", Attribute::Bool(window.ceil)),
    ];
    if max {
        arguments.push(("dilation", pair(&window.dilation)));
    } else {
        ensure!(window.dilation == [1, 1], "a dilated AveragePool");
        arguments.push(("count_include_pad", Attribute::Bool(counted)));
    }
    let id = importer.add(if max { "max_pool" } else { "avg_pool" }, &arguments, &[id])?;
    unmapped(importer, id, line)
}

/// A reduction over all positions, which stay as dimensions of size 1.
fn reduce_all(importer: &mut Importer, o: &Operator, kind: &str) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let rank = importer.shape(&x).len();
    Ok(vec![importer.reduced(kind, x, &(2..rank).collect::<Vec<_>>(), true)?])
}

fn reduce(importer: &mut Importer, o: &Operator, kind: &str) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let rank = importer.shape(&x).len();
    let given = o.given(1)?.map(|c| c.tensor.clone());
    let mut axes = match axes(&o.node.attributes, given.as_ref())? {
        Some(axes) => axes.iter().map(|&d| place(d, rank)).collect::<Result<Vec<_>>>()?,
        None if o.int("noop_with_empty_axes", 0) == 1 => return Ok(vec![x]),
        None => (0..rank).collect(),
    };
    axes.sort_unstable();
    Ok(vec![importer.reduced(kind, x, &axes, o.int("keepdims", 1) == 1)?])
}

fn epsilon(o: &Operator) -> (&'static str, Attribute) {
    ("eps", Attribute::Float(o.node.attributes.float("epsilon", 1e-5)))
}

fn batch_norm(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    ensure!(
        o.int("training_mode", 0) == 0,
        "a BatchNormalization in training mode; export the network after model.eval()"
    );
    let parameters = ["weight", "bias", "running_mean", "running_var"].into_iter().enumerate();
    let parameters: Vec<_> =
        parameters.map(|(i, name)| Ok((name, o.constant(i + 1)?.tensor.clone()))).collect::<Result<_>>()?;
    let x = o.value(0)?;
    let rank = importer.shape(&x).len();
    let id = importer.batch_first(x)?;
    let id = importer.add_with("batch_norm", &[epsilon(&o)], &[id], parameters)?;
    Ok(vec![Value::Node(id, View::natural(rank))])
}

fn affine(o: &Operator) -> Result<Vec<(&'static str, Tensor)>> {
    Ok(vec![("weight", o.constant(1)?.tensor.clone()), ("bias", o.constant(2)?.tensor.clone())])
}

fn instance_norm(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let rank = importer.shape(&x).len();
    let id = importer.batch_first(x)?;
    let id = importer.add_with("instance_norm", &[epsilon(&o)], &[id], affine(&o)?)?;
    Ok(vec![Value::Node(id, View::natural(rank))])
}

fn group_norm(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let shape = importer.shape(&x);
    let groups = Attribute::Int(o.int("num_groups", 1));
    let id = importer.batch_first(x)?;
    let mut parameters = affine(&o)?;
    for (_, values) in &mut parameters {
        // Before opset 21 there is one value per group.
        let (channels, count) = (shape[1], values.elem_count());
        if count != channels {
            let each = values.reshape((count, 1))?.broadcast_as((count, channels / count.max(1)))?;
            *values = each.contiguous()?.flatten_all()?;
        }
    }
    let id = importer.add_with("group_norm", &[("num_groups", groups), epsilon(&o)], &[id], parameters)?;
    Ok(vec![Value::Node(id, View::natural(shape.len()))])
}

fn layer_norm(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    ensure!(
        o.node.outputs.iter().skip(1).all(String::is_empty),
        "the statistics of a LayerNormalization are not supported"
    );
    let x = o.value(0)?;
    let shape = importer.shape(&x);
    let axis = place(o.int("axis", -1), shape.len())?;
    let (id, view) = importer.arranged(x, true)?;
    let normalized = &shape[axis..];
    ensure!(view.0[axis..].iter().all(|axes| axes.len() == 1 && axes[0] != 0), "a LayerNormalization over the batch");
    let mut parameters = vec![("weight", o.constant(1)?.tensor.reshape(normalized)?)];
    if o.node.op == "RMSNormalization" {
        ensure!(axis + 1 == shape.len(), "an RMSNormalization over several dimensions");
        let id = importer.add_with("rms_norm", &[epsilon(&o)], &[id], parameters)?;
        return Ok(vec![Value::Node(id, view)]);
    }
    if let Some(bias) = o.given(2)? {
        parameters.push(("bias", bias.tensor.reshape(normalized)?));
    }
    let bias = Attribute::Bool(parameters.len() == 2);
    let arguments = [("normalized_shape", pair(normalized)), epsilon(&o), ("bias", bias)];
    Ok(vec![Value::Node(importer.add_with("layer_norm", &arguments, &[id], parameters)?, view)])
}

fn lrn(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let (id, line) = maps(importer, o.value(0)?)?;
    let a = &o.node.attributes;
    let arguments = [
        ("size", Attribute::Int(a.int("size", 1))),
        ("alpha", Attribute::Float(a.float("alpha", 1e-4))),
        ("beta", Attribute::Float(a.float("beta", 0.75))),
        ("k", Attribute::Float(a.float("bias", 1.0))),
    ];
    let id = importer.add("lrn", &arguments, &[id])?;
    unmapped(importer, id, line)
}

/// The integers of a constant input.
pub fn list_of(o: &Operator, i: usize) -> Result<Option<Vec<i64>>> {
    o.given(i)?.map(|c| integers(&c.tensor)).transpose()
}
