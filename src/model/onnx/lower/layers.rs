//! Convolutions, pools, norms and reductions.

use super::super::evaluate::{axes, integers, place};
use super::operator::{Lower, Operator, pair};
use crate::graph::NodeId;
use crate::graph::op::Attribute;
use crate::model::import::{Constant, Importer, Value, View, int};
use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};

pub const TABLE: &[(&[&str], Lower)] = &[
    (&["Conv"], conv),
    (&["ConvTranspose"], conv_transpose),
    (&["MaxPool", "AveragePool"], pool),
    (&["AdaptiveAveragePool"], adaptive),
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
    (&["ReduceL2"], l2),
];

/// The window of a convolution or pool: height and width of the kernel, stride, dilation, and padding on both sides.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    before: [usize; 2],
    after: [usize; 2],
    ceil: bool,
}

impl Window {
    /// Reads the window of an operator whose input feature map has height and width `size`.
    fn of(o: &Operator, kernel: [usize; 2], size: [usize; 2]) -> Result<Self> {
        let two = |name: &str| -> Result<[usize; 2]> {
            Ok(match o.sizes(name)?.as_deref() {
                None => [1, 1],
                Some([n]) => [1, *n],
                Some([h, w]) => [*h, *w],
                Some(other) => bail!("\"{name}\" has {} values; only 2-D layers are supported", other.len()),
            })
        };
        let (stride, dilation) = (two("strides")?, two("dilations")?);
        ensure!(!stride.contains(&0), "the stride is 0");
        let (mut before, mut after) = match o.sizes("pads")?.as_deref() {
            None => ([0, 0], [0, 0]),
            Some([b, a]) => ([0, *b], [0, *a]),
            Some([t, l, b, r]) => ([*t, *l], [*b, *r]),
            Some(other) => bail!("\"pads\" has {} values; only 2-D layers are supported", other.len()),
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

    /// Whether pooling nodes support the padding: it must be the same on both sides, and at most half the kernel size.
    fn is_pooling(&self) -> bool {
        self.is_even() && (0..2).all(|d| 2 * self.before[d] <= self.kernel[d])
    }
}

/// Converts a value to feature maps `(N, C, H, W)`, and returns whether it had only one spatial dimension.
fn maps(importer: &mut Importer, x: Value) -> Result<(NodeId, bool)> {
    let shape = importer.shape(&x);
    let line = shape.len() == 3;
    ensure!(
        line || shape.len() == 4,
        "expected (N, C, H, W), got {}; 3-D layers are not supported",
        importer.shape_text(&shape)
    );
    let x = if line { importer.unsqueezed(x, &[2])? } else { x };
    Ok((importer.batch_first(x)?, line))
}

/// The value of a node with feature maps, without the height dimension if [`maps`] added it.
fn unmapped(importer: &mut Importer, id: NodeId, line: bool) -> Result<Vec<Value>> {
    let value = Value::Node(id, View::natural(4));
    Ok(vec![if line { importer.squeezed(value, &[2])? } else { value }])
}

fn size_of(importer: &Importer, id: NodeId) -> [usize; 2] {
    let sizes = importer.sizes(id);
    [sizes[2], sizes[3]]
}

/// Pads feature maps with `value`.
fn padded(importer: &mut Importer, mut id: NodeId, window: &Window, value: f64) -> Result<NodeId> {
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
    Ok(id)
}

fn conv(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let mut weight = o.constant(1)?.tensor.clone();
    let (id, line) = maps(importer, o.value(0)?)?;
    if line && weight.rank() == 3 {
        weight = weight.unsqueeze(2)?;
    }
    let (out, _, h, w) = weight.dims4().context("the weight of a 2-D convolution must have four dimensions")?;
    let window = Window::of(&o, [h, w], size_of(importer, id))?;
    let (id, padding) = match window.is_even() {
        true => (id, window.before),
        false => (padded(importer, id, &window, 0.0)?, [0, 0]),
    };
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
    let (_, out, h, w) = weight.dims4().context("the weight of a 2-D convolution must have four dimensions")?;
    let groups = usize::try_from(o.int("group", 1)).context("the number of groups is negative")?;
    let window = Window::of(&o, [h, w], size_of(importer, id))?;
    let more = match o.sizes("output_padding")?.as_deref() {
        None => [0, 0],
        Some([n]) => [0, *n],
        Some([h, w]) => [*h, *w],
        Some(_) => bail!("\"output_padding\" must have two values"),
    };
    // The size of the output may be given instead of the padding.
    let (input, auto) = (size_of(importer, id), o.node.attributes.text("auto_pad", "NOTSET"));
    let wanted = match o.sizes("output_shape")? {
        Some(sizes) if sizes.len() >= 2 => Some([sizes[sizes.len() - 2], sizes[sizes.len() - 1]]),
        Some(sizes) => Some([1, *sizes.first().context("output_shape is empty")?]),
        None if auto.starts_with("SAME") => Some([input[0] * window.stride[0], input[1] * window.stride[1]]),
        None => None,
    };
    let (mut before, mut after, mut more) = (window.before, window.after, more);
    for d in 0..2 {
        let Some(wanted) = wanted else { break };
        let full = window.stride[d] * (input[d] - 1) + window.dilation[d] * (window.kernel[d] - 1) + 1;
        let all = (full + more[d]).saturating_sub(wanted[d]);
        more[d] += wanted[d].saturating_sub(full + more[d]);
        let small = all / 2;
        (before[d], after[d]) = if auto == "SAME_UPPER" { (small, all - small) } else { (all - small, small) };
    }
    let even = before == after;
    let padding = if even { before } else { [0, 0] };
    let bias = o.given(2)?.map(|b| b.tensor.clone());
    let arguments = [
        ("out_channels", int(out * groups)),
        ("kernel_size", pair(&[h, w])),
        ("stride", pair(&window.stride)),
        ("padding", pair(&padding)),
        ("output_padding", pair(&more)),
        ("dilation", pair(&window.dilation)),
        ("groups", int(groups)),
        ("bias", Attribute::Bool(bias.is_some())),
    ];
    let parameters = std::iter::once(("weight", weight)).chain(bias.map(|b| ("bias", b))).collect();
    let id = importer.add_with("conv_transpose", &arguments, &[id], parameters)?;
    let mut y = Value::Node(id, View::natural(4));
    if !even {
        // The padding removes a different number of positions on each side.
        let size = size_of(importer, id);
        for d in 0..2 {
            y = importer.sliced(y, d + 2, before[d]..size[d] - after[d], 1)?;
        }
    }
    Ok(vec![if line { importer.squeezed(y, &[2])? } else { y }])
}

fn pool(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let max = o.node.op == "MaxPool";
    let (id, line) = maps(importer, o.value(0)?)?;
    let kernel = match o.sizes("kernel_shape")?.as_deref() {
        Some([n]) => [1, *n],
        Some([h, w]) => [*h, *w],
        _ => bail!("\"kernel_shape\" must have two values"),
    };
    let window = Window::of(&o, kernel, size_of(importer, id))?;
    let counted = o.int("count_include_pad", 0) == 1;
    let mut window = window;
    if !window.is_pooling() {
        return padded_pool(importer, (id, line), &mut window, max, counted);
    }
    let padding = window.before;
    let mut arguments = vec![
        ("kernel_size", pair(&window.kernel)),
        ("stride", pair(&window.stride)),
        ("padding", pair(&padding)),
        ("ceil_mode", Attribute::Bool(window.ceil)),
    ];
    if max {
        arguments.push(("dilation", pair(&window.dilation)));
    } else {
        ensure!(window.dilation == [1, 1], "dilation is not supported for AveragePool");
        arguments.push(("count_include_pad", Attribute::Bool(counted)));
    }
    let id = importer.add(if max { "max_pool" } else { "avg_pool" }, &arguments, &[id])?;
    unmapped(importer, id, line)
}

/// Average pooling to the output size specified by input 1.
fn adaptive(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let size = integers(&o.constant(1)?.tensor)?;
    let size: Vec<usize> = size.iter().map(|&n| n.max(1) as usize).collect();
    let (id, line) = maps(importer, o.value(0)?)?;
    let id = importer.add("adaptive_avg_pool", &[("output_size", pair(&size))], &[id])?;
    unmapped(importer, id, line)
}

/// Adds a pool whose padding differs between sides or exceeds half the kernel size. The padding becomes a separate node.
fn padded_pool(
    importer: &mut Importer,
    (id, line): (NodeId, bool),
    window: &mut Window,
    max: bool,
    counted: bool,
) -> Result<Vec<Value>> {
    let size = size_of(importer, id);
    let mut valid = [vec![], vec![]];
    for d in 0..2 {
        let span = window.dilation[d] * (window.kernel[d] - 1) + 1;
        let whole = size[d] + window.before[d] + window.after[d];
        ensure!(whole >= span, "a window of size {span} does not fit an axis of size {whole}, padding included");
        let over = (whole - span) % window.stride[d];
        let counts_over = window.ceil && over > 0;
        let count = (whole - span) / window.stride[d] + 1 + usize::from(counts_over);
        // The number of positions of each window inside the feature map or, if `counted`, inside the padded feature map.
        let (low, high) = match counted {
            true => (0, whole),
            false => (window.before[d], window.before[d] + size[d]),
        };
        let inside = |i: usize| {
            let taps = (0..window.kernel[d]).map(|tap| i * window.stride[d] + tap * window.dilation[d]);
            taps.filter(|at| (low..high).contains(at)).count()
        };
        valid[d] = (0..count).map(inside).collect();
        if counts_over {
            window.after[d] += window.stride[d] - over;
        }
    }
    let id = padded(importer, id, window, if max { f64::from(f32::MIN) } else { 0.0 })?;
    let mut arguments = vec![("kernel_size", pair(&window.kernel)), ("stride", pair(&window.stride))];
    if max {
        arguments.push(("dilation", pair(&window.dilation)));
        let id = importer.add("max_pool", &arguments, &[id])?;
        return unmapped(importer, id, line);
    }
    let id = importer.add("avg_pool", &arguments, &[id])?;
    let all = (window.kernel[0] * window.kernel[1]) as f64;
    let share = |h: &usize| valid[1].iter().map(|w| all / (h * w).max(1) as f64).collect::<Vec<_>>();
    let shares: Vec<f64> = valid[0].iter().flat_map(share).collect();
    if shares.iter().all(|&share| share == 1.0) {
        return unmapped(importer, id, line);
    }
    let shares = Tensor::from_vec(shares, (1, 1, valid[0].len(), valid[1].len()), &Device::Cpu)?;
    let y = importer.binary("mul", Value::Node(id, View::natural(4)), Value::Constant(Constant::of(shares)))?;
    Ok(vec![if line { importer.squeezed(y, &[2])? } else { y }])
}

/// The L2 norm over the given dimensions.
fn l2(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let Value::Node(id, view) = o.value(0)? else { bail!("not supported for constants") };
    let square = importer.add_beside("pow", &[("exponent", Attribute::Float(2.0))], &[id])?;
    let o = Operator { inputs: [&[Some(Value::Node(square, view))], &o.inputs[1..]].concat(), ..o };
    let Value::Node(id, view) = reduce(importer, &o, "sum")?.remove(0) else { bail!("not supported for constants") };
    // The derivative of the square root is infinite at 0, where that of PyTorch's norm is 0.
    let shift = [("factor", Attribute::Float(1.0)), ("shift", Attribute::Float(1e-30))];
    let id = importer.add_beside("scale", &shift, &[id])?;
    Ok(vec![Value::Node(importer.add_beside("pow", &[("exponent", Attribute::Float(0.5))], &[id])?, view)])
}

/// Reduces over all spatial dimensions, keeping them with size 1.
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
        "BatchNormalization in training mode is not supported; export the network after model.eval()"
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
    let (id, line) = maps(importer, o.value(0)?)?;
    let id = importer.add_with("instance_norm", &[epsilon(&o)], &[id], affine(&o)?)?;
    unmapped(importer, id, line)
}

fn group_norm(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let shape = importer.shape(&x);
    let groups = Attribute::Int(o.int("num_groups", 1));
    let id = importer.batch_first(x)?;
    let mut parameters = affine(&o)?;
    for (_, values) in &mut parameters {
        // Before opset 21, there is one value per group.
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
    let x = o.value(0)?;
    let shape = importer.shape(&x);
    let axis = place(o.int("axis", -1), shape.len())?;
    let (id, view) = importer.arranged(x, true)?;
    let normalized = &shape[axis..];
    ensure!(
        view.0[axis..].iter().all(|axes| axes.len() == 1 && axes[0] != 0),
        "normalizing over the batch dimension is not supported"
    );
    let mut parameters = vec![("weight", o.constant(1)?.tensor.reshape(normalized)?)];
    if o.node.op == "RMSNormalization" {
        ensure!(axis + 1 == shape.len(), "normalizing over several dimensions is not supported");
        let id = importer.add_with("rms_norm", &[epsilon(&o)], &[id], parameters)?;
        return Ok(vec![Value::Node(id, view)]);
    }
    if let Some(bias) = o.given(2)? {
        parameters.push(("bias", bias.tensor.reshape(normalized)?));
    }
    let bias = Attribute::Bool(parameters.len() == 2);
    let arguments = [("normalized_shape", pair(normalized)), epsilon(&o), ("bias", bias)];
    let mut all = vec![Value::Node(importer.add_with("layer_norm", &arguments, &[id], parameters)?, view.clone())];
    if o.node.outputs.iter().skip(1).any(|name| !name.is_empty()) {
        all.extend(statistics(importer, &o, Value::Node(id, view), axis)?);
    }
    Ok(all)
}

/// The statistics of a layer norm: the mean, and the reciprocal of the standard deviation.
fn statistics(importer: &mut Importer, o: &Operator, x: Value, axis: usize) -> Result<[Value; 2]> {
    let dimensions: Vec<_> = (axis..importer.shape(&x).len()).collect();
    let mean = importer.reduced("mean", x.clone(), &dimensions, true)?;
    let Value::Node(centered, view) = importer.binary("sub", x, mean.clone())? else {
        bail!("not supported for constants")
    };
    let power = |p: f64| [("exponent", Attribute::Float(p))];
    let square = importer.add_beside("pow", &power(2.0), &[centered])?;
    let variance = importer.reduced("mean", Value::Node(square, view), &dimensions, true)?;
    let Value::Node(id, view) = variance else { bail!("not supported for constants") };
    let shift = [("factor", Attribute::Float(1.0)), ("shift", epsilon(o).1)];
    let shifted = importer.add_beside("scale", &shift, &[id])?;
    Ok([mean, Value::Node(importer.add_beside("pow", &power(-0.5), &[shifted])?, view)])
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
