//! Evaluates operators whose inputs are all constants: shape arithmetic, and operators applied to weights.
//!
//! Integers are stored as i64, and booleans as u8 (0 or 1).

use super::program::Attributes;
use crate::graph::op;
use crate::memory::reserve_tensor;
use crate::tensor::numbers;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};

/// Maximum number of elements of a constant computed at import time.
const MOST_ELEMENTS: usize = 1 << 28;

/// The outputs of an operator, given the opset version and the number of outputs; `None` if the operator cannot be evaluated.
pub fn evaluate(
    op: &str,
    a: &Attributes,
    x: &[Option<Tensor>],
    (opset, outputs): (i64, usize),
) -> Result<Option<Vec<Tensor>>> {
    let input = |i: usize| x.get(i).and_then(Option::as_ref).with_context(|| format!("{op} has no input {i}"));
    let given = |i: usize| x.get(i).and_then(Option::as_ref);
    let two = || -> Result<(Tensor, Tensor)> { Ok((input(0)?.clone(), input(1)?.clone())) };
    let one = |t: Tensor| Ok(Some(vec![t]));
    match op {
        "Constant" => one(a.constant()?),
        "Dropout" => {
            let x = input(0)?;
            Ok(Some(vec![x.clone(), x.ones_like()?.to_dtype(DType::U8)?]))
        }
        "Identity" | "CastLike" => one(match given(1).filter(|_| op == "CastLike") {
            Some(like) => cast(input(0)?, like.dtype())?,
            None => input(0)?.clone(),
        }),
        "Cast" => one(cast(input(0)?, target(a.int("to", 1))?)?),
        "ConstantOfShape" => {
            let shape = sizes(input(0)?)?;
            check_size(&shape)?;
            let value = a.tensor("value")?.map_or_else(|| Tensor::new(&[0f32], &Device::Cpu), Ok)?;
            one(value.reshape(vec![1; shape.len()])?.broadcast_as(shape)?.contiguous()?)
        }
        "Shape" => {
            let shape: Vec<i64> = input(0)?.dims().iter().map(|&n| n as i64).collect();
            one(Tensor::new(part_of_shape(&shape, a), &Device::Cpu)?)
        }
        "Size" => one(Tensor::new(input(0)?.elem_count() as i64, &Device::Cpu)?),
        "Range" => {
            let [start, limit, delta] = [0, 1, 2].map(|i| input(i).and_then(number));
            let (start, limit, delta) = (start?, limit?, delta?);
            let count = ((limit - start) / delta).ceil().clamp(0.0, (1u64 << 32) as f64) as usize;
            ensure!(count < 1 << 24, "a range of {count} values is too long");
            let all: Vec<f64> = (0..count).map(|i| start + i as f64 * delta).collect();
            one(Tensor::new(all, &Device::Cpu)?.to_dtype(input(0)?.dtype())?)
        }
        "Add" | "Sub" | "Mul" | "Div" => {
            let (a, b) = alike(two()?)?;
            broadcast(a.dims(), b.dims())?;
            one(match op {
                "Add" => a.broadcast_add(&b)?,
                "Sub" => a.broadcast_sub(&b)?,
                "Mul" => a.broadcast_mul(&b)?,
                _ => {
                    let zero = a.dtype() == DType::I64 && numbers(&b)?.contains(&0.0);
                    ensure!(!zero, "integer division by 0");
                    a.broadcast_div(&b)?
                }
            })
        }
        "Pow" => {
            let (x, y) = two()?;
            one(zipped(&x, &y, x.dtype(), f64::powf)?)
        }
        "Mod" => {
            let (x, y) = two()?;
            let fmod = a.int("fmod", 0) == 1;
            one(zipped(&x, &y, x.dtype(), |a, b| if fmod { a % b } else { a - b * (a / b).floor() })?)
        }
        "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" | "And" | "Or" | "Xor" => {
            let (x, y) = two()?;
            let test: fn(f64, f64) -> bool = match op {
                "Equal" => |a, b| a == b,
                "Less" => |a, b| a < b,
                "Greater" => |a, b| a > b,
                "LessOrEqual" => |a, b| a <= b,
                "GreaterOrEqual" => |a, b| a >= b,
                "And" => |a, b| a != 0.0 && b != 0.0,
                "Or" => |a, b| a != 0.0 || b != 0.0,
                _ => |a, b| (a != 0.0) != (b != 0.0),
            };
            one(zipped(&x, &y, DType::U8, |a, b| f64::from(u8::from(test(a, b))))?)
        }
        "Max" | "Min" => {
            let mut all = x.iter().flatten();
            let first = all.next().context("no inputs")?.clone();
            let pick: fn(f64, f64) -> f64 = if op == "Max" { f64::max } else { f64::min };
            one(all.try_fold(first, |so_far, t| zipped(&so_far, t, so_far.dtype(), pick))?)
        }
        "Where" => {
            let (yes, no) = alike((input(1)?.clone(), input(2)?.clone()))?;
            let condition = input(0)?;
            let chosen = zipped3(condition, &yes, &no)?;
            one(chosen.to_dtype(yes.dtype())?)
        }
        "Not" | "Neg" | "Abs" | "Ceil" | "Floor" | "Round" | "Sign" | "Sqrt" | "Exp" | "Log" | "Sin" | "Cos"
        | "Tanh" | "Sigmoid" | "Erf" | "Reciprocal" | "Relu" | "Softplus" => one(each(input(0)?, function(op)?)?),
        "HardSigmoid" => {
            let (alpha, beta) = (a.float("alpha", 0.2), a.float("beta", 0.5));
            one(each(input(0)?, |v| (alpha * v + beta).clamp(0.0, 1.0))?)
        }
        "HardSwish" => one(each(input(0)?, |v| v * (v / 6.0 + 0.5).clamp(0.0, 1.0))?),
        "Clip" => {
            let bound = |i: usize, name: &str, none: f64| match given(i) {
                Some(t) => number(t),
                None => Ok(a.float(name, none)),
            };
            let (low, high) = (bound(1, "min", f64::NEG_INFINITY)?, bound(2, "max", f64::INFINITY)?);
            one(each(input(0)?, |v| v.max(low).min(high))?)
        }
        "Reshape" => {
            let shape = match given(1) {
                Some(shape) => integers(shape)?,
                None => a.ints("shape").context("Reshape has no shape")?,
            };
            let x = input(0)?;
            one(x.reshape(resolved(&shape, x.dims(), a.int("allowzero", 0) == 1)?)?)
        }
        "Flatten" => {
            let x = input(0)?;
            let axis = flat_axis(a.int("axis", 1), x.rank())?;
            let rows: usize = x.dims()[..axis].iter().product();
            one(x.reshape((rows, x.elem_count() / rows.max(1)))?)
        }
        "Transpose" => {
            let x = input(0)?;
            let order = match a.ints("perm") {
                Some(perm) => perm.iter().map(|&d| place(d, x.rank())).collect::<Result<Vec<_>>>()?,
                None => (0..x.rank()).rev().collect(),
            };
            one(x.permute(order)?.contiguous()?)
        }
        "Squeeze" | "Unsqueeze" => {
            let axes = axes(a, given(1))?;
            let x = input(0)?;
            let shape = if op == "Squeeze" {
                let axes = match axes {
                    Some(axes) => axes.iter().map(|&d| place(d, x.rank())).collect::<Result<Vec<_>>>()?,
                    None => (0..x.rank()).filter(|&d| x.dims()[d] == 1).collect(),
                };
                (0..x.rank()).filter(|d| !axes.contains(d)).map(|d| x.dims()[d]).collect::<Vec<_>>()
            } else {
                let axes = axes.context("Unsqueeze has no axes")?;
                inserted(x.dims(), &axes)?
            };
            one(x.reshape(shape)?)
        }
        "Expand" => {
            let (x, target) = (input(0)?, sizes(input(1)?)?);
            one(x.broadcast_as(broadcast(x.dims(), &target)?)?.contiguous()?)
        }
        "Tile" => {
            let (x, times) = (input(0)?, sizes(input(1)?)?);
            ensure!(
                times.len() == x.rank(),
                "Tile has {} repeats for a value with {} dimensions",
                times.len(),
                x.rank()
            );
            check_size(&x.dims().iter().zip(&times).map(|(n, t)| n.saturating_mul(*t)).collect::<Vec<_>>())?;
            one(x.repeat(times)?)
        }
        "Concat" => {
            let all: Vec<_> = x.iter().flatten().cloned().collect();
            let rank = all.first().context("no inputs")?.rank();
            one(Tensor::cat(&all, place(a.int("axis", 0), rank)?)?)
        }
        "Gather" => {
            let (x, index) = (input(0)?, input(1)?);
            let axis = place(a.int("axis", 0), x.rank())?;
            let places: Vec<u32> =
                integers(index)?.iter().map(|&i| Ok(place(i, x.dims()[axis])? as u32)).collect::<Result<_>>()?;
            let shape = [&x.dims()[..axis], index.dims(), &x.dims()[axis + 1..]].concat();
            check_size(&shape)?;
            let taken = x.contiguous()?.index_select(&Tensor::new(places, &Device::Cpu)?, axis)?;
            one(taken.reshape(shape)?)
        }
        "Slice" => {
            let mut x = input(0)?.clone();
            for slice in slices(a, [1, 2, 3, 4].map(given), x.dims())? {
                let places: Vec<u32> = slice.indices().map(|i| i as u32).collect();
                x = match places.is_empty() {
                    true => x.narrow(slice.axis, 0, 0)?,
                    false => x.contiguous()?.index_select(&Tensor::new(places, &Device::Cpu)?, slice.axis)?,
                };
            }
            one(x)
        }
        "Split" => {
            let x = input(0)?;
            let axis = place(a.int("axis", 0), x.rank())?;
            let parts = parts(a, given(1), x.dims()[axis], outputs)?;
            let mut start = 0;
            let part = |&n: &usize| {
                start += n;
                Ok(x.narrow(axis, start - n, n)?)
            };
            Ok(Some(parts.iter().map(part).collect::<Result<_>>()?))
        }
        "ReduceMean" | "ReduceSum" | "ReduceL2" | "ReduceProd" | "ReduceMax" | "ReduceMin" => {
            let x = input(0)?;
            let axes = match axes(a, given(1))? {
                Some(axes) => axes.iter().map(|&d| place(d, x.rank())).collect::<Result<Vec<_>>>()?,
                None if a.int("noop_with_empty_axes", 0) == 1 => return one(x.clone()),
                None => (0..x.rank()).collect(),
            };
            let (mut y, keep) = (x.clone(), a.int("keepdims", 1) == 1);
            if x.elem_count() == 0 {
                let nothing: f64 = match op {
                    "ReduceMax" if is_bool(x) => 0.0,
                    "ReduceMax" => f64::NEG_INFINITY,
                    "ReduceMin" if is_bool(x) => 1.0,
                    "ReduceMin" => f64::INFINITY,
                    "ReduceProd" => 1.0,
                    _ => 0.0,
                };
                let shape: Vec<_> = (0..x.rank())
                    .filter(|d| keep || !axes.contains(d))
                    .map(|d| if axes.contains(&d) { 1 } else { x.dims()[d] })
                    .collect();
                let values = vec![nothing; shape.iter().product()];
                return one(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(x.dtype())?);
            }
            // In f32, sums of many values would lose precision.
            let is_sum = ["ReduceMean", "ReduceSum", "ReduceL2"].contains(&op);
            if is_sum && x.dtype().is_float() {
                y = y.to_dtype(DType::F64)?;
            }
            if op == "ReduceL2" {
                y = y.to_dtype(DType::F64)?.sqr()?;
            }
            for &axis in &axes {
                y = match op {
                    "ReduceMean" => y.mean_keepdim(axis)?,
                    "ReduceSum" | "ReduceL2" => y.sum_keepdim(axis)?,
                    "ReduceMax" => y.max_keepdim(axis)?,
                    "ReduceMin" => y.min_keepdim(axis)?,
                    _ => {
                        let parts = (0..y.dims()[axis]).map(|i| y.narrow(axis, i, 1)).collect::<Result<Vec<_>, _>>()?;
                        let mut all = parts.into_iter();
                        let first = all.next().context("nothing to multiply")?;
                        all.try_fold(first, |p, t| &p * &t)?
                    }
                };
            }
            if op == "ReduceL2" {
                y = y.sqrt()?;
            }
            y = y.to_dtype(x.dtype())?;
            let left = (0..x.rank()).filter(|d| keep || !axes.contains(d)).map(|d| y.dims()[d]).collect::<Vec<_>>();
            one(y.reshape(left)?)
        }
        "MatMul" => {
            let (a, b) = two()?;
            // A vector is treated as a row on the left and as a column on the right; the added dimension is removed from the
            // result.
            let (row, column) = (a.rank() == 1, b.rank() == 1);
            let a = if row { a.unsqueeze(0)? } else { a };
            let b = if column { b.unsqueeze(1)? } else { b };
            let mut y = a.broadcast_matmul(&b)?;
            if column {
                y = y.squeeze(y.rank() - 1)?;
            }
            if row {
                y = y.squeeze(y.rank() - 1 - usize::from(!column))?;
            }
            one(y)
        }
        "Linear" => {
            let y = input(0)?.broadcast_matmul(input(1)?)?;
            one(match given(2) {
                Some(bias) => y.broadcast_add(bias)?,
                None => y,
            })
        }
        "BatchNormalization" => {
            // Computed in f64, because rounding errors in standardized weights add up from layer to layer.
            let dtype = input(0)?.dtype();
            let x = input(0)?.to_dtype(DType::F64)?;
            ensure!(x.rank() > 1, "expected an input with channels, got {:?}", x.dims());
            let mut shape = vec![1; x.rank()];
            shape[1] = x.dims()[1];
            let per_channel = |i: usize| Ok::<_, anyhow::Error>(input(i)?.to_dtype(DType::F64)?.reshape(&shape[..])?);
            let (mean, variance) = match a.int("training_mode", 0) {
                0 => (per_channel(3)?, per_channel(4)?),
                // Weight standardization: the statistics are those of the weights.
                _ => statistics(&x)?,
            };
            let deviation = (variance + a.float("epsilon", 1e-5))?.sqrt()?;
            let y = x.broadcast_sub(&mean)?.broadcast_div(&deviation)?;
            one(y.broadcast_mul(&per_channel(1)?)?.broadcast_add(&per_channel(2)?)?.to_dtype(dtype)?)
        }
        "GatherND" => {
            ensure!(a.int("batch_dims", 0) == 0, "batch_dims of GatherND is not supported");
            let (x, index) = (input(0)?.contiguous()?, input(1)?);
            let (starts, width) = nd_slices(x.dims(), index)?;
            let places: Vec<u32> = starts.iter().flat_map(|&start| (start..start + width).map(|i| i as u32)).collect();
            let rows = &index.dims()[..index.rank() - 1];
            let shape = [rows, &x.dims()[index.dims()[index.rank() - 1]..]].concat();
            check_size(&shape)?;
            one(x.flatten_all()?.index_select(&Tensor::new(places, &Device::Cpu)?, 0)?.reshape(shape)?)
        }
        "ScatterND" => {
            ensure!(a.text("reduction", "none") == "none", "the reduction of ScatterND is not supported");
            let (x, updates) = alike((input(0)?.clone(), input(2)?.clone()))?;
            let (starts, width) = nd_slices(x.dims(), input(1)?)?;
            let count = x.elem_count();
            ensure!(updates.elem_count() == starts.len() * width, "the shapes of indices and updates do not match");
            // Each element comes from the value or, where it is updated, from the updates, which are appended to the value.
            let mut places: Vec<u32> = (0..count as u32).collect();
            for (i, start) in starts.into_iter().enumerate() {
                (0..width).for_each(|j| places[start + j] = (count + i * width + j) as u32);
            }
            let all = Tensor::cat(&[x.flatten_all()?, updates.flatten_all()?], 0)?;
            one(all.index_select(&Tensor::new(places, &Device::Cpu)?, 0)?.reshape(x.dims())?)
        }
        "Pad" => {
            let x = input(0)?;
            let padding = Padding::of(a, [given(1), given(2), given(3)], x.rank())?;
            let mut y = x.contiguous()?;
            for (axis, before, after) in padding.each {
                let size = y.dims()[axis] as i64;
                let mut padded = y.dims().to_vec();
                padded[axis] = (size + before + after).max(0) as usize;
                check_size(&padded)?;
                let places: Vec<Option<usize>> =
                    (-before..size + after).map(|at| padding.mode.place(at, size)).collect();
                let inside: Vec<u32> = places.iter().map(|place| place.unwrap_or(0) as u32).collect();
                y = y.index_select(&Tensor::new(inside, &Device::Cpu)?, axis)?;
                let mut shape = vec![1; y.rank()];
                shape[axis] = places.len();
                let outside: Vec<u8> = places.iter().map(|place| u8::from(place.is_none())).collect();
                if outside.contains(&1) {
                    let outside = Tensor::from_vec(outside, shape, &Device::Cpu)?.broadcast_as(y.shape())?;
                    let fill =
                        Tensor::new(padding.value, &Device::Cpu)?.to_dtype(y.dtype())?.broadcast_as(y.shape())?;
                    y = outside.where_cond(&fill, &y)?;
                }
            }
            one(y)
        }
        "Softmax" if opset >= 13 => {
            let x = input(0)?;
            one(candle_nn::ops::softmax(x, place(a.int("axis", -1), x.rank())?)?)
        }
        _ => match op.strip_prefix("activation.").and_then(op::spec) {
            Some(spec) => {
                let x = input(0)?;
                let flat = x.reshape((1, x.elem_count()))?;
                let given = spec.arguments.iter().filter_map(|own| Some((own.name.to_string(), a.argument(own.name)?)));
                one(spec.build(given, &[flat.dims()])?.forward(&[&flat], &[])?.reshape(x.dims())?)
            }
            None => Ok(None),
        },
    }
}

/// The effect of a `Pad` operator on each axis.
pub struct Padding {
    /// Each padded axis, with the number of elements added before and after; a negative number removes elements.
    pub each: Vec<(usize, i64, i64)>,
    pub mode: PadMode,
    /// The padding value in `constant` mode.
    pub value: f64,
}

/// How the values of padding elements are determined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

impl PadMode {
    /// The input index whose value is copied to index `at`; `None` if that element is set to the constant.
    pub fn place(self, at: i64, size: i64) -> Option<usize> {
        let place = match self {
            _ if (0..size).contains(&at) => at,
            Self::Constant => return None,
            Self::Edge => at.clamp(0, size - 1),
            Self::Wrap => at.rem_euclid(size),
            Self::Reflect => {
                let period = (2 * size - 2).max(1);
                let at = at.rem_euclid(period);
                if at < size { at } else { period - at }
            }
        };
        Some(place as usize)
    }
}

impl Padding {
    /// Reads a `Pad` operator for a value with `rank` dimensions. The inputs `pads`, `value` and `axes` are attributes in old opsets.
    pub fn of(a: &Attributes, [pads, value, axes]: [Option<&Tensor>; 3], rank: usize) -> Result<Self> {
        let pads = match pads {
            Some(pads) => integers(pads)?,
            None => a.ints("pads").or_else(|| a.ints("paddings")).context("Pad has no pads")?,
        };
        let value = match value {
            Some(value) if value.elem_count() > 0 => number(value)?,
            _ => a.float("value", 0.0),
        };
        let axes = match axes {
            Some(axes) => integers(axes)?.iter().map(|&d| place(d, rank)).collect::<Result<Vec<_>>>()?,
            None => (0..rank).collect(),
        };
        ensure!(pads.len() == 2 * axes.len(), "Pad has {} sizes for {} dimensions", pads.len(), axes.len());
        ensure!(pads.iter().all(|n| n.abs() <= 1 << 20), "padding is limited to 2^20 elements");
        let mode = match a.text("mode", "constant").as_str() {
            "constant" => PadMode::Constant,
            "reflect" => PadMode::Reflect,
            "edge" => PadMode::Edge,
            "wrap" => PadMode::Wrap,
            other => bail!("unknown padding mode \"{other}\"; expected one of constant, reflect, edge, wrap"),
        };
        let count = axes.len();
        let each = axes.into_iter().enumerate().map(|(i, axis)| (axis, pads[i], pads[i + count]));
        Ok(Self { each: each.filter(|&(_, before, after)| (before, after) != (0, 0)).collect(), mode, value })
    }
}

/// The mean and variance of each channel (dimension 1), with the rank of `x`.
fn statistics(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let mean = |t: &Tensor| (0..t.rank()).filter(|&d| d != 1).try_fold(t.clone(), |t, d| t.mean_keepdim(d));
    let center = mean(x)?;
    let variance = mean(&x.broadcast_sub(&center)?.sqr()?)?;
    Ok((center, variance))
}

fn is_bool(t: &Tensor) -> bool {
    t.dtype() == DType::U8
}

/// The start indices, in row-major order, and the length of the slices that `GatherND` and `ScatterND` address in a value of this
/// shape. The last dimension of `index` contains one index for each leading dimension of the value.
fn nd_slices(shape: &[usize], index: &Tensor) -> Result<(Vec<usize>, usize)> {
    let depth = *index.dims().last().context("the indices have no dimensions")?;
    ensure!(depth <= shape.len(), "got {depth} indices for a value with {} dimensions", shape.len());
    let width = shape[depth..].iter().product();
    let start = |row: &[i64]| {
        row.iter()
            .zip(shape)
            .try_fold(0, |start, (&i, &size)| anyhow::Ok(start * size + place(i, size)?))
            .map(|i| i * width)
    };
    let starts = match depth {
        0 => vec![0; index.dims()[..index.rank() - 1].iter().product()],
        _ => integers(index)?.chunks(depth).map(start).collect::<Result<_>>()?,
    };
    Ok((starts, width))
}

/// One slice of a `Slice` operator.
pub struct Slice {
    pub axis: usize,
    pub start: i64,
    pub end: i64,
    pub step: i64,
}

impl Slice {
    /// The indices that the slice selects.
    pub fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        let count = match self.step > 0 {
            true => (self.end - self.start + self.step - 1).div_euclid(self.step),
            false => (self.start - self.end - self.step - 1).div_euclid(-self.step),
        };
        (0..count.max(0)).map(|i| (self.start + i * self.step) as usize)
    }
}

/// The slices of a `Slice` operator for a value of this shape, with bounds clamped to its sizes. `given` holds the inputs starts, ends,
/// axes and steps, which are attributes before opset 10.
pub fn slices(a: &Attributes, given: [Option<&Tensor>; 4], shape: &[usize]) -> Result<Vec<Slice>> {
    let [starts, ends, axes, steps] = given;
    let list = |t: Option<&Tensor>, name: &str| match t {
        Some(t) => integers(t).map(Some),
        None => Ok(a.ints(name)),
    };
    let starts = list(starts, "starts")?.context("Slice has no starts")?;
    let ends = list(ends, "ends")?.context("Slice has no ends")?;
    let axes = list(axes, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(steps, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    ensure!(
        [ends.len(), axes.len(), steps.len()].iter().all(|&n| n == starts.len()),
        "Slice has {} starts, {} ends, {} axes and {} steps",
        starts.len(),
        ends.len(),
        axes.len(),
        steps.len()
    );
    let slice = |i: usize| {
        let axis = place(axes[i], shape.len())?;
        let (size, step) = (shape[axis] as i64, steps[i]);
        ensure!(step != 0, "the step of a slice is 0");
        let from_end = |n: i64| if n < 0 { n.saturating_add(size) } else { n };
        let (start, end) = match step > 0 {
            true => (from_end(starts[i]).clamp(0, size), from_end(ends[i]).clamp(0, size)),
            false => (from_end(starts[i]).clamp(0, size - 1), from_end(ends[i]).clamp(-1, size - 1)),
        };
        Ok(Slice { axis, start, end, step })
    };
    (0..starts.len()).map(slice).collect()
}

/// The sizes of the parts that a `Split` operator produces from a dimension of size `size`.
pub fn parts(a: &Attributes, given: Option<&Tensor>, size: usize, outputs: usize) -> Result<Vec<usize>> {
    if let Some(parts) = given.map(integers).transpose()?.or_else(|| a.ints("split")) {
        let parts = parts
            .iter()
            .map(|&n| usize::try_from(n))
            .collect::<Result<Vec<_>, _>>()
            .context("the size of a part of Split is negative")?;
        ensure!(parts.iter().sum::<usize>() == size, "parts of sizes {parts:?} do not add up to {size}");
        return Ok(parts);
    }
    let count = usize::try_from(a.int("num_outputs", outputs as i64))
        .ok()
        .filter(|&n| n > 0)
        .context("the number of outputs of Split must be at least 1")?;
    let part = size.div_ceil(count);
    Ok((0..count).map(|i| part.min(size.saturating_sub(i * part))).collect())
}

/// The axes of an operator, which are an attribute in old opsets and an input in newer ones; `None` if they are omitted.
pub fn axes(a: &Attributes, given: Option<&Tensor>) -> Result<Option<Vec<i64>>> {
    match given {
        // An empty list counts as none.
        Some(axes) => Ok(Some(integers(axes)?).filter(|axes| !axes.is_empty())),
        None => Ok(a.ints("axes")),
    }
}

/// The part of a shape that a `Shape` operator returns.
pub fn part_of_shape<'a>(shape: &'a [i64], a: &Attributes) -> &'a [i64] {
    let rank = shape.len() as i64;
    let place = |n: i64| if n < 0 { n + rank } else { n }.clamp(0, rank) as usize;
    let (start, end) = (place(a.int("start", 0)), place(a.int("end", rank)));
    &shape[start..end.max(start)]
}

/// The shape with dimensions of size 1 inserted at the given axes of the result.
pub fn inserted(shape: &[usize], axes: &[i64]) -> Result<Vec<usize>> {
    let rank = shape.len() + axes.len();
    let axes = axes.iter().map(|&d| place(d, rank)).collect::<Result<Vec<_>>>()?;
    let mut rest = shape.iter();
    (0..rank)
        .map(|d| if axes.contains(&d) { Ok(1) } else { rest.next().copied().context("Unsqueeze lists an axis twice") })
        .collect()
}

/// The sizes of a value of shape `from` after a `Reshape` to `shape`: 0 keeps a size, -1 is inferred.
pub fn resolved(shape: &[i64], from: &[usize], allow_zero: bool) -> Result<Vec<usize>> {
    let total: usize = from.iter().product();
    let size = |(d, &n): (usize, &i64)| match n {
        0 if !allow_zero => {
            from.get(d).copied().map(Some).context("a size of 0 in Reshape refers to a dimension that does not exist")
        }
        -1 => Ok(None),
        n => usize::try_from(n).map(Some).with_context(|| format!("invalid size {n}")),
    };
    let sizes = shape.iter().enumerate().map(size).collect::<Result<Vec<_>>>()?;
    let known: usize =
        sizes.iter().flatten().try_fold(1usize, |p, &n| p.checked_mul(n)).context("a shape is too large")?;
    let open = sizes.iter().filter(|n| n.is_none()).count();
    ensure!(open <= 1, "only one size of Reshape may be -1");
    ensure!(open == 0 || known > 0 && total.is_multiple_of(known), "{total} values do not fit shape {shape:?}");
    ensure!(open == 1 || known == total, "{total} values do not fit shape {shape:?}");
    Ok(sizes.into_iter().map(|n| n.unwrap_or(total / known.max(1))).collect())
}

/// Converts an axis, which may be negative, to a nonnegative index.
pub fn place(axis: i64, rank: usize) -> Result<usize> {
    let place = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(place)
        .ok()
        .filter(|&d| d < rank)
        .with_context(|| format!("index {axis} is out of range for {rank} elements"))
}

/// The axis of `Flatten`, which may equal the rank.
pub fn flat_axis(axis: i64, rank: usize) -> Result<usize> {
    if axis == rank as i64 { Ok(rank) } else { place(axis, rank) }
}

/// All values of an integer tensor.
pub fn integers(t: &Tensor) -> Result<Vec<i64>> {
    Ok(t.to_dtype(DType::I64)?.flatten_all()?.to_vec1()?)
}

fn sizes(t: &Tensor) -> Result<Vec<usize>> {
    let sizes = integers(t)?;
    let sizes = sizes.iter().map(|&n| usize::try_from(n).with_context(|| format!("invalid size {n}")));
    let sizes = sizes.collect::<Result<Vec<_>>>()?;
    crate::tensor::elements(&sizes)?;
    Ok(sizes)
}

/// The value of a tensor with one element.
pub fn number(t: &Tensor) -> Result<f64> {
    match numbers(t)?[..] {
        [n] => Ok(n),
        ref all => bail!("expected a scalar, got {} values", all.len()),
    }
}

/// The shape that two shapes broadcast to. Errors if a value of that shape would be too large.
pub fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let shape = crate::backend::broadcast_shape(&[a, b])?;
    check_size(&shape)?;
    Ok(shape)
}

/// Errors if a constant of this shape would be too large: a few bytes in a damaged file can request any size.
pub fn check_size(shape: &[usize]) -> Result<()> {
    let count = crate::tensor::elements(shape)?;
    ensure!(count <= MOST_ELEMENTS, "a constant of {count} elements is too large");
    reserve_tensor(shape, 8)
}

fn target(to: i64) -> Result<DType> {
    Ok(match to {
        11 => DType::F64,
        1 | 10 | 16 => DType::F32,
        9 => DType::U8,
        2..=7 | 12 | 13 => DType::I64,
        other => bail!("a cast to data type {other} is not supported"),
    })
}

fn cast(t: &Tensor, to: DType) -> Result<Tensor> {
    if to == DType::U8 {
        return each(t, |v| f64::from(u8::from(v != 0.0)))?.to_dtype(DType::U8).map_err(Into::into);
    }
    Ok(t.to_dtype(to)?)
}

/// Converts two tensors to the wider of their two dtypes.
fn alike((a, b): (Tensor, Tensor)) -> Result<(Tensor, Tensor)> {
    let order = [DType::U8, DType::I64, DType::F32, DType::F64];
    let rank = |t: &Tensor| order.iter().position(|d| *d == t.dtype()).unwrap_or(2);
    let wide = order[rank(&a).max(rank(&b))];
    Ok((a.to_dtype(wide)?, b.to_dtype(wide)?))
}

fn each(t: &Tensor, f: impl Fn(f64) -> f64) -> Result<Tensor> {
    let values: Vec<f64> = numbers(t)?.into_iter().map(f).collect();
    Ok(Tensor::from_vec(values, t.shape(), &Device::Cpu)?.to_dtype(t.dtype())?)
}

fn zipped(a: &Tensor, b: &Tensor, dtype: DType, f: impl Fn(f64, f64) -> f64) -> Result<Tensor> {
    let shape = broadcast(a.dims(), b.dims())?;
    let [a, b] = [a, b].map(|t| numbers(&t.broadcast_as(shape.as_slice())?));
    let values: Vec<f64> = a?.into_iter().zip(b?).map(|(a, b)| f(a, b)).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?)
}

fn zipped3(condition: &Tensor, yes: &Tensor, no: &Tensor) -> Result<Tensor> {
    let shape = broadcast(condition.dims(), &broadcast(yes.dims(), no.dims())?)?;
    let [c, a, b] = [condition, yes, no].map(|t| numbers(&t.broadcast_as(shape.as_slice())?));
    let values: Vec<f64> =
        c?.into_iter().zip(a?.into_iter().zip(b?)).map(|(c, (a, b))| if c != 0.0 { a } else { b }).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

fn function(op: &str) -> Result<fn(f64) -> f64> {
    Ok(match op {
        "Not" => |v| f64::from(u8::from(v == 0.0)),
        "Neg" => |v| -v,
        "Abs" => f64::abs,
        "Ceil" => f64::ceil,
        "Floor" => f64::floor,
        "Round" => f64::round_ties_even,
        "Sign" => |v| if v == 0.0 { 0.0 } else { v.signum() },
        "Sqrt" => f64::sqrt,
        "Exp" => f64::exp,
        "Log" => f64::ln,
        "Sin" => f64::sin,
        "Cos" => f64::cos,
        "Tanh" => f64::tanh,
        "Sigmoid" => |v| 1.0 / (1.0 + (-v).exp()),
        "Erf" => <f64 as gradscope_engine::Real>::erf,
        "Reciprocal" => f64::recip,
        "Relu" => |v| v.max(0.0),
        "Softplus" => |v| if v > 30.0 { v } else { v.exp().ln_1p() },
        _ => bail!("{op} is not an elementwise function"),
    })
}
