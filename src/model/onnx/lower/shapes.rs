//! Operators that rearrange, select, repeat or concatenate elements.

use super::super::evaluate::{PadMode, Padding, axes, flat_axis, inserted, integers, parts, place, resolved, slices};
use super::super::resample::Resampling;
use super::operator::{Lower, Operator, list_of};
use crate::backend::broadcast_shape;
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
    (&["SpaceToDepth", "DepthToSpace"], shuffle),
];

fn reshape(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let shape = match list_of(&o, 1)? {
        Some(shape) => shape,
        None => o.node.attributes.ints("shape").context("Reshape has no shape")?,
    };
    let x = o.value(0)?;
    let from = importer.shape(&x);
    let target = resolved(&shape, &from, o.int("allowzero", 0) == 1);
    // In a network exported for a batch of one picture, the batch size is the constant 1.
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
    let axis = flat_axis(o.int("axis", 1), shape.len())?;
    let (rows, columns) = (shape[..axis].iter().product(), shape[axis..].iter().product());
    Ok(vec![importer.reshaped(x, &[rows, columns])?])
}

fn transpose(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let Value::Node(id, view) = o.value(0)? else { bail!("constant inputs are not supported") };
    let rank = view.0.len();
    let order = match o.node.attributes.ints("perm") {
        Some(perm) => perm.iter().map(|&d| place(d, rank)).collect::<Result<Vec<_>>>()?,
        None => (0..rank).rev().collect(),
    };
    ensure!(order.len() == rank, "got a permutation of {} dimensions for a value with {rank} dimensions", order.len());
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
    let axes = axes(&o.node.attributes, given.as_ref())?.context("Unsqueeze has no axes")?;
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
            // All elements, in order.
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
    let target = target
        .iter()
        .map(|&n| usize::try_from(n))
        .collect::<Result<Vec<_>, _>>()
        .context("a size of Expand is negative")?;
    let target = broadcast_shape(&[&importer.shape(&x), &target])?;
    Ok(vec![importer.expanded(x, &target)?])
}

fn pad(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let mut x = o.value(0)?;
    let shape = importer.shape(&x);
    let [pads, value, axes] = [1, 2, 3].map(|i| o.given(i).map(|c| c.map(|c| c.tensor.clone())));
    let (pads, value, axes) = (pads?, value?, axes?);
    let given = [pads.as_ref(), value.as_ref(), axes.as_ref()];
    let padding = Padding::of(&o.node.attributes, given, shape.len())?;
    if let (PadMode::Reflect, Some(sizes), true) = (padding.mode, both_sides(&padding.each), shape.len() == 4) {
        let id = importer.batch_first(x)?;
        let id = importer.add("reflect_pad", &[("padding", list(&sizes))], &[id])?;
        return Ok(vec![Value::Node(id, View::natural(4))]);
    }
    for (axis, before, after) in padding.each {
        let size = shape[axis] as i64;
        if padding.mode != PadMode::Constant {
            let places = (-before..size + after).filter_map(|at| padding.mode.place(at, size)).collect::<Vec<_>>();
            x = importer.gathered(x, axis, &places)?;
            continue;
        }
        // A negative padding removes elements.
        let (start, end) = ((-before).max(0), size - (-after).max(0));
        x = importer.sliced(x, axis, start as usize..end.max(start) as usize, 1)?;
        let (before, after) = (before.max(0) as usize, after.max(0) as usize);
        if before + after > 0 {
            let (id, view, own) = importer.axis_of(x, axis)?;
            let mut arguments = vec![("dim", int(own)), ("before", int(before)), ("after", int(after))];
            if padding.value != 0.0 {
                arguments.push(("value", Attribute::Float(padding.value)));
            }
            x = Value::Node(importer.add("pad", &arguments, &[id])?, view);
        }
    }
    Ok(vec![x])
}

/// Vertical and horizontal padding of feature maps, if it is the same on both sides; `None` for any other padding.
fn both_sides(each: &[(usize, i64, i64)]) -> Option<[usize; 2]> {
    let mut sizes = [0, 0];
    for &(axis, before, after) in each {
        *sizes.get_mut(axis.checked_sub(2)?)? = usize::try_from(before).ok().filter(|_| before == after)?;
    }
    Some(sizes)
}

/// `SpaceToDepth` and `DepthToSpace`: rearranges blocks of spatial positions into channels, or channels into blocks.
fn shuffle(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let block =
        usize::try_from(o.int("blocksize", 1)).ok().filter(|&b| b > 0).context("\"blocksize\" must be positive")?;
    let [n, c, h, w] = importer.shape(&x)[..] else { bail!("expected an input of shape (N, C, H, W)") };
    let (split, order, target) = if o.node.op == "SpaceToDepth" {
        ensure!(
            h.is_multiple_of(block) && w.is_multiple_of(block),
            "the height and width {h}x{w} are not divisible by the block size {block}"
        );
        let (oh, ow) = (h / block, w / block);
        let crd = o.node.attributes.text("mode", "DCR") == "CRD";
        let order = if crd { [0, 1, 3, 5, 2, 4] } else { [0, 3, 5, 1, 2, 4] };
        ([n, c, oh, block, ow, block], order, [n, c * block * block, oh, ow])
    } else {
        ensure!(c.is_multiple_of(block * block), "{c} channels are not divisible by {block}x{block}");
        let out = c / (block * block);
        let target = [n, out, h * block, w * block];
        match o.node.attributes.text("mode", "DCR").as_str() {
            "DCR" => ([n, block, block, out, h, w], [0, 3, 4, 1, 5, 2], target),
            _ => ([n, out, block, block, h, w], [0, 1, 4, 2, 5, 3], target),
        }
    };
    let Value::Node(id, view) = importer.reshaped(x, &split)? else { bail!("constant inputs are not supported") };
    let moved = Value::Node(id, view.permuted(&order));
    let y = importer.reshaped(moved, &target)?;
    Ok(vec![importer.settled(y)?])
}

fn resize(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let x = o.value(0)?;
    let shape = importer.shape(&x);
    let rank = shape.len();
    let given = [1, 2, 3].map(|i| o.given(i).map(|c| c.map(|c| c.tensor.clone())));
    let [a, b, c] = given;
    let (a, b, c) = (a?, b?, c?);
    let plan = Resampling::of(o.node, [a.as_ref(), b.as_ref(), c.as_ref()], &shape, o.opset)?;
    if let Some(mode) = plan.of_maps().filter(|_| rank == 4 && plan.to[..2] == shape[..2]) {
        let id = importer.batch_first(x)?;
        let arguments = [("size", list(&plan.to[2..])), ("mode", Attribute::Text(mode.into()))];
        let id = importer.add("interpolate", &arguments, &[id])?;
        return Ok(vec![Value::Node(id, View::natural(4))]);
    }
    // All other variants are products with a matrix along each axis.
    let mut x = x;
    for (d, matrix) in plan.matrices()? {
        let order: Vec<_> = (0..rank).filter(|&other| other != d).chain([d]).collect();
        let Value::Node(id, view) = x else { bail!("constant inputs are not supported") };
        let last = Value::Node(id, view.permuted(&order));
        let Value::Node(id, view) = importer.along_last(last, matrix)? else {
            bail!("constant inputs are not supported")
        };
        let back: Vec<_> = (0..rank).map(|at| order.iter().position(|&d| d == at).unwrap_or(at)).collect();
        x = Value::Node(id, view.permuted(&back));
    }
    Ok(vec![importer.settled(x)?])
}
