//! Operators that move, select, repeat or join elements.

use super::super::evaluate::{axes, broadcast, inserted, integers, number, parts, place, resolved, slices};
use super::layers::list_of;
use super::{Lower, Operator};
use crate::graph::op::Attribute;
use crate::model::import::{Importer, Value, View, int, list};
use anyhow::{Context, Result, bail, ensure};

pub const TABLE: &[(&[&str], Lower)] = &[
    (&["Reshape"], reshape),
    (&["Flatten"], flatten),
    (&["Transpose"], transpose),
    (&["Squeeze"], squeeze),
    (&["Unsqueeze"], unsqueeze),
    (&["Concat"], concat),
    (&["Slice"], slice),
    (&["Split"], split),
    (&["Gather"], gather),
    (&["Expand"], expand),
    (&["Pad"], pad),
    (&["Resize", "Upsample"], resize),
];

fn reshape(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let shape = match list_of(&o, 1)? {
        Some(shape) => shape,
        None => o.node.attributes.ints("shape").context("Reshape lacks a shape")?,
    };
    let x = o.value(0)?;
    let from = importer.shape(&x);
    let target = resolved(&shape, &from, o.int("allowzero", 0) == 1);
    // A network exported for one picture says 1 where the batch is meant.
    let target = match target {
        Ok(target) => target,
        Err(error) => match shape.first() {
            Some(1) => resolved(&[&[from[0] as i64], &shape[1..]].concat(), &from, false)?,
            _ => return Err(error),
        },
    };
    Ok(vec![importer.reshaped(x, &target)?])
}

fn flatten(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let shape = importer.shape(&x);
    let axis = place(o.int("axis", 1), shape.len() + 1)?;
    let (rows, columns) = (shape[..axis].iter().product(), shape[axis..].iter().product());
    Ok(vec![importer.reshaped(x, &[rows, columns])?])
}

fn transpose(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let Value::Node(id, view) = o.value(0)? else { bail!("a constant") };
    let rank = view.0.len();
    let order = match o.node.attributes.ints("perm") {
        Some(perm) => perm.iter().map(|&d| place(d, rank)).collect::<Result<Vec<_>>>()?,
        None => (0..rank).rev().collect(),
    };
    ensure!(order.len() == rank, "a permutation of {} dimensions for {rank}", order.len());
    let _ = importer;
    Ok(vec![Value::Node(id, view.permuted(&order))])
}

fn squeeze(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let shape = importer.shape(&x);
    let given = o.given(1)?.map(|c| c.tensor.clone());
    let dimensions = match axes(&o.node.attributes, given.as_ref())? {
        Some(axes) => axes.iter().map(|&d| place(d, shape.len())).collect::<Result<Vec<_>>>()?,
        None => (0..shape.len()).filter(|&d| shape[d] == 1).collect(),
    };
    Ok(vec![importer.squeezed(x, &dimensions)?])
}

fn unsqueeze(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let given = o.given(1)?.map(|c| c.tensor.clone());
    let axes = axes(&o.node.attributes, given.as_ref())?.context("Unsqueeze lacks axes")?;
    let rank = importer.shape(&x).len() + axes.len();
    inserted(&importer.shape(&x), &axes)?;
    let places = axes.iter().map(|&d| place(d, rank)).collect::<Result<Vec<_>>>()?;
    Ok(vec![importer.unsqueezed(x, &places)?])
}

fn concat(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let values: Vec<_> = o.inputs.iter().flatten().cloned().collect();
    let rank = importer.shape(&o.value(0)?).len();
    Ok(vec![importer.concatenated(values, place(o.int("axis", 1), rank)?)?])
}

fn slice(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let mut x = o.value(0)?;
    let [a, b, c, d] = [1, 2, 3, 4].map(|i| o.given(i).map(|c| c.map(|c| c.tensor.clone())));
    let (a, b, c, d) = (a?, b?, c?, d?);
    let given = [a.as_ref(), b.as_ref(), c.as_ref(), d.as_ref()];
    for slice in slices(&o.node.attributes, given, &importer.shape(&x))? {
        x = match usize::try_from(slice.step) {
            Ok(step) => {
                importer.sliced(x, slice.axis, slice.start as usize..slice.end.max(slice.start) as usize, step)?
            }
            Err(_) => importer.gathered(x, slice.axis, &slice.indices().collect::<Vec<_>>())?,
        };
    }
    Ok(vec![x])
}

fn split(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let shape = importer.shape(&x);
    let axis = place(o.int("axis", 0), shape.len())?;
    let given = o.given(1)?.map(|c| c.tensor.clone());
    let mut start = 0;
    let mut all = vec![];
    for part in parts(&o.node.attributes, given.as_ref(), shape[axis], o.node.outputs.len())? {
        all.push(importer.sliced(x.clone(), axis, start..start + part, 1)?);
        start += part;
    }
    Ok(all)
}

fn gather(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let shape = importer.shape(&x);
    let axis = place(o.int("axis", 0), shape.len())?;
    let index = &o.constant(1)?.tensor;
    let indices = integers(index)?.iter().map(|&i| place(i, shape[axis])).collect::<Result<Vec<_>>>()?;
    match (index.rank(), &indices[..]) {
        (0, [one]) if shape[axis] == 1 => Ok(vec![importer.squeezed(x, &[axis])?]),
        (0, [one]) => Ok(vec![importer.selected(x, axis, *one)?]),
        _ => {
            let target = [&shape[..axis], index.dims(), &shape[axis + 1..]].concat();
            // All elements in their order.
            if indices.len() == shape[axis] && indices.iter().enumerate().all(|(at, &i)| at == i) {
                return Ok(vec![importer.reshaped(x, &target)?]);
            }
            let y = importer.gathered(x, axis, &indices)?;
            if index.rank() == 1 {
                return Ok(vec![y]);
            }
            Ok(vec![importer.reshaped(y, &target)?])
        }
    }
}

fn expand(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let target = integers(&o.constant(1)?.tensor)?;
    let target =
        target.iter().map(|&n| usize::try_from(n)).collect::<Result<Vec<_>, _>>().context("a negative size")?;
    let target = broadcast(&importer.shape(&x), &target)?;
    Ok(vec![importer.expanded(x, &target)?])
}

fn pad(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let shape = importer.shape(&x);
    let pads = match list_of(&o, 1)? {
        Some(pads) => pads,
        None => {
            o.node.attributes.ints("pads").or_else(|| o.node.attributes.ints("paddings")).context("Pad lacks pads")?
        }
    };
    let value = match o.given(2)? {
        Some(value) => number(&value.tensor)?,
        None => o.node.attributes.float("value", 0.0),
    };
    let axes = match list_of(&o, 3)? {
        Some(axes) => axes.iter().map(|&d| place(d, shape.len())).collect::<Result<Vec<_>>>()?,
        None => (0..shape.len()).collect(),
    };
    ensure!(pads.len() == 2 * axes.len(), "Pad has {} sizes for {} dimensions", pads.len(), axes.len());
    let mode = o.node.attributes.text("mode", "constant");
    let mut x = x;
    if mode == "reflect" {
        let rows: Vec<_> =
            axes.iter().enumerate().filter(|(i, _)| pads[*i] != 0 || pads[i + axes.len()] != 0).collect();
        let mut padding = [0, 0];
        for (i, &axis) in rows {
            ensure!(
                (axis == 2 || axis == 3) && pads[i] == pads[i + axes.len()] && pads[i] >= 0,
                "reflection padding of other dimensions than height and width, or that differs between sides"
            );
            padding[axis - 2] = pads[i] as usize;
        }
        let id = importer.batch_first(x)?;
        let id = importer.add("reflect_pad", &[("padding", list(&padding))], &[id])?;
        return Ok(vec![Value::Node(id, View::natural(4))]);
    }
    ensure!(mode == "constant", "padding by \"{mode}\" is not supported; constant and reflect are");
    for (i, &axis) in axes.iter().enumerate() {
        let (before, after) = (pads[i], pads[i + axes.len()]);
        if before < 0 || after < 0 {
            // A negative padding removes elements.
            let size = shape[axis] as i64;
            let (start, end) = ((-before).max(0), size - (-after).max(0));
            x = importer.sliced(x, axis, start as usize..end.max(start) as usize, 1)?;
        }
        let (before, after) = (before.max(0) as usize, after.max(0) as usize);
        if before + after > 0 {
            let (id, view, own) = importer.axis_of(x, axis)?;
            let mut arguments = vec![("dim", int(own)), ("before", int(before)), ("after", int(after))];
            if value != 0.0 {
                arguments.push(("value", Attribute::Float(value)));
            }
            x = Value::Node(importer.add("pad", &arguments, &[id])?, view);
        }
    }
    Ok(vec![x])
}

fn resize(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let shape = importer.shape(&x);
    ensure!(shape.len() == 4, "a Resize of {} dimensions; maps have four", shape.len());
    // Upsample has the scales as input 1, Resize since opset 11 as input 2, with the sizes as input 3.
    let nothing = |t: &candle_core::Tensor| t.elem_count() == 0;
    let (scales, sizes) = match o.node.inputs.len() {
        0..=2 => (o.given(1)?, None),
        _ => (o.given(2)?, o.given(3)?),
    };
    let scales = scales.map(|c| &c.tensor).filter(|t| !nothing(t));
    let target: Vec<usize> = match (sizes.map(|c| &c.tensor).filter(|t| !nothing(t)), scales) {
        (Some(sizes), _) => integers(sizes)?.iter().map(|&n| n as usize).collect(),
        (None, Some(scales)) => {
            let scales = crate::tensor::numbers(scales)?;
            shape.iter().zip(scales).map(|(&n, scale)| (n as f64 * scale).floor() as usize).collect()
        }
        (None, None) => o
            .node
            .attributes
            .ints("sizes")
            .map(|s| s.iter().map(|&n| n as usize).collect())
            .context("Resize lacks sizes and scales")?,
    };
    ensure!(target.len() == 4 && target[1] == shape[1], "a Resize of other dimensions than height and width");
    let mode = o.node.attributes.text("mode", "nearest");
    let old = o.node.op == "Upsample" || o.opset < 11;
    let at = o.node.attributes.text("coordinate_transformation_mode", if old { "asymmetric" } else { "half_pixel" });
    let whole = target[2].is_multiple_of(shape[2]) && target[3].is_multiple_of(shape[3]);
    let mode = match (mode.as_str(), at.as_str()) {
        // For whole factors, every rule picks the same pixel.
        ("nearest", _) if whole => "nearest",
        ("nearest", "asymmetric") if o.node.attributes.text("nearest_mode", "floor") == "floor" => "nearest",
        ("linear", "half_pixel" | "pytorch_half_pixel") => "bilinear",
        ("linear", "align_corners") => "bilinear_corners",
        (mode, at) => bail!("a Resize with mode \"{mode}\" and coordinates \"{at}\" is not supported"),
    };
    let id = importer.batch_first(x)?;
    let arguments = [("size", list(&target[2..])), ("mode", Attribute::Text(mode.into()))];
    let id = importer.add("interpolate", &arguments, &[id])?;
    Ok(vec![Value::Node(id, View::natural(4))])
}
