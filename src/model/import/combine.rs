//! Operations on the values of exported programs, shared by the importers of all formats.

use super::view::View;
use super::{Constant, Importer, Value, int, list};
use crate::backend::broadcast_shape;
use crate::graph::NodeId;
use crate::graph::op::Attribute;
use crate::tensor::numbers;
use anyhow::{Result, bail, ensure};
use candle_core::Tensor;

impl Importer {
    /// Applies `add`, `sub`, `mul` or `div` to two values, with broadcasting.
    pub fn binary(&mut self, kind: &str, a: Value, b: Value) -> Result<Value> {
        match (a, b) {
            (Value::Node(id, view), Value::Constant(c)) => match single(&c, view.0.len())? {
                Some(n) => self.scaled(kind, id, view, n, false),
                None => self.with_constant(kind, (id, view), &c, false),
            },
            (Value::Constant(c), Value::Node(id, view)) => match single(&c, view.0.len())?.filter(|_| kind != "div") {
                Some(n) => self.scaled(kind, id, view, n, true),
                None => self.with_constant(kind, (id, view), &c, true),
            },
            (Value::Node(a, x), Value::Node(b, y)) => {
                let same = x == y && self.sizes(a).len() == self.sizes(b).len();
                let ((a, x), (b, _)) = if same { ((a, x.clone()), (b, x)) } else { self.aligned((a, x), (b, y))? };
                Ok(Value::Node(self.add(kind, &[], &[a, b])?, x))
            }
            (Value::Constant(_), Value::Constant(_)) => bail!("an operation on two constants is not supported here"),
        }
    }

    /// Adds the arithmetic operator `kind` with a scalar operand `n`, as `x * factor + shift`.
    fn scaled(&mut self, kind: &str, id: NodeId, view: View, n: f64, swapped: bool) -> Result<Value> {
        let (factor, shift) = match (kind, swapped) {
            ("add", _) => (1.0, n),
            ("sub", false) => (1.0, -n),
            ("sub", true) => (-1.0, n),
            ("mul", _) => (n, 0.0),
            ("div", false) => (1.0 / n, 0.0),
            _ => bail!("{kind} with a number as the first operand is not supported"),
        };
        if (factor, shift) == (1.0, 0.0) {
            return Ok(Value::Node(id, view));
        }
        let arguments = [("factor", Attribute::Float(factor)), ("shift", Attribute::Float(shift))];
        Ok(Value::Node(self.add("scale", &arguments, &[id])?, view))
    }

    /// Applies the arithmetic operator `kind` to a value and a constant. The constant becomes a parameter, reshaped to broadcast with the
    /// value's node.
    fn with_constant(&mut self, kind: &str, (id, view): (NodeId, View), c: &Constant, first: bool) -> Result<Value> {
        let rank = c.tensor.rank().max(view.0.len());
        let mut view = padded(view, rank);
        let mut id = id;
        let shape = view.shape(&self.sizes(id));
        let wanted = [&vec![1; rank - c.tensor.rank()][..], c.tensor.dims()].concat();
        if shape.iter().zip(&wanted).any(|(&size, &c)| size == 1 && c != 1) {
            (id, view) = self.arranged(Value::Node(id, view), true)?;
        }
        let sizes = self.sizes(id);
        // The sizes of the constant, with each dimension split into axes like the value's.
        let (mut split, mut axes) = (vec![], vec![]);
        for (dimension, &size) in view.0.iter().zip(&wanted) {
            let whole: usize = dimension.iter().map(|&axis| sizes[axis]).product();
            for &axis in dimension {
                axes.push(axis);
                split.push(if size == 1 || axis == 0 {
                    1
                } else if size == whole {
                    sizes[axis]
                } else {
                    size
                });
            }
            let batch = dimension.contains(&0) && sizes[0] != 1 && size != 1;
            ensure!(
                !batch && (size == 1 || size == whole || dimension.len() == 1),
                "{kind} of a value of shape {} and a constant of shape {} is not supported",
                self.shape_text(&shape),
                self.shape_text(&wanted)
            );
        }
        let missing: Vec<_> = (0..sizes.len()).filter(|axis| !axes.contains(axis)).collect();
        split.extend(missing.iter().map(|_| 1));
        axes.extend(missing);
        let mut order = vec![0; axes.len()];
        axes.iter().enumerate().for_each(|(at, &axis)| order[axis] = at);
        let tensor = c.tensor.reshape(split)?.permute(order)?;
        let shape = tensor.dims().to_vec();
        let parameter = self.parameter(&Constant { tensor, ..c.clone() }, &shape)?;
        let inputs = if first { [parameter, id] } else { [id, parameter] };
        Ok(Value::Node(self.add(kind, &[], &inputs)?, view))
    }

    /// Rearranges two values so that both have the same rank and one axis for each exported dimension.
    fn aligned(&mut self, a: (NodeId, View), b: (NodeId, View)) -> Result<((NodeId, View), (NodeId, View))> {
        let rank = a.1.0.len().max(b.1.0.len());
        let (a, x) = self.arranged(Value::Node(a.0, padded(a.1, rank)), true)?;
        let (b, y) = self.arranged(Value::Node(b.0, padded(b.1, rank)), true)?;
        ensure!(self.same(&x, &y), "the batch dimensions of the two values differ");
        Ok(((a, x), (b, y)))
    }

    /// Whether two views are equal. If the batch size is 1, their batch dimensions may differ.
    fn same(&self, x: &View, y: &View) -> bool {
        let apart = |view: &View| -> Vec<Vec<usize>> {
            let rest = |axes: &Vec<usize>| axes.iter().copied().filter(|&axis| axis != 0).collect();
            view.0.iter().map(rest).collect()
        };
        x == y || (self.batch() == 1 && apart(x) == apart(y))
    }

    /// Matrix product over the last two dimensions; the leading dimensions are broadcast, as in PyTorch's `matmul`.
    pub fn matmul(&mut self, a: Value, b: Value) -> Result<Value> {
        let (a_shape, b_shape) = (self.shape(&a), self.shape(&b));
        // A vector is a row on the left and a column on the right, and is removed from the result.
        if a_shape.len() == 1 || b_shape.len() == 1 {
            let (row, column) = (a_shape.len() == 1, b_shape.len() == 1);
            let a = if row { self.inserted(a, 0)? } else { a };
            let b = if column { self.inserted(b, 1)? } else { b };
            let y = self.matmul(a, b)?;
            let rank = self.shape(&y).len();
            let gone: Vec<_> = [(row, rank - 2), (column, rank - 1)].iter().filter(|g| g.0).map(|g| g.1).collect();
            return self.squeezed(y, &gone);
        }
        let rank = a_shape.len().max(b_shape.len());
        let lead = |shape: &[usize]| [&vec![1; rank - shape.len()][..], &shape[..shape.len() - 2]].concat();
        let common = broadcast_shape(&[&lead(&a_shape), &lead(&b_shape)])?;
        let a = self.spread(a, &[&common[..], &a_shape[a_shape.len() - 2..]].concat())?;
        let b = self.spread(b, &[&common[..], &b_shape[b_shape.len() - 2..]].concat())?;
        let operand = |importer: &mut Self, value: Value| -> Result<(NodeId, View)> {
            let (id, view) = match value {
                Value::Node(id, view) => (id, view),
                Value::Constant(c) => {
                    let shape = [&vec![1; rank - c.tensor.rank()][..], c.tensor.dims()].concat();
                    importer.constant_node(&Constant { tensor: c.tensor.reshape(shape)?, ..c })?
                }
            };
            importer.arranged(Value::Node(id, padded(view, rank)), true)
        };
        let ((a, x), (b, y)) = (operand(self, a)?, operand(self, b)?);
        let has_batch = |view: &View| view.0.iter().any(|axes| axes.contains(&0));
        ensure!(
            self.same(&x, &y) || !has_batch(&x) || !has_batch(&y),
            "the batch dimensions of the two matrices differ"
        );
        let view = if has_batch(&x) { x } else { y };
        let over = view.0[rank.saturating_sub(2)..].iter().any(|axes| axes.contains(&0));
        ensure!(!over || self.batch() == 1, "a matrix product over the batch dimension is not supported");
        Ok(Value::Node(self.add("matmul", &[], &[a, b])?, view))
    }

    /// Inserts a dimension of size 1 at this index.
    fn inserted(&mut self, x: Value, index: usize) -> Result<Value> {
        match x {
            Value::Constant(c) => Ok(Value::Constant(Constant { tensor: c.tensor.unsqueeze(index)?, ..c })),
            node => self.unsqueezed(node, &[index]),
        }
    }

    /// Expands dimensions of size 1 to the sizes in `target`, for matrix products with broadcasting. The value may be a constant.
    fn spread(&mut self, x: Value, target: &[usize]) -> Result<Value> {
        match x {
            Value::Constant(c) => {
                let own = if c.tensor.rank() == target.len() { c.tensor.dims()[0] } else { 1 };
                let mut sizes = target.to_vec();
                // A constant keeps size 1 in the batch dimension.
                if own == 1 && sizes[0] == self.batch() {
                    sizes[0] = 1;
                }
                Ok(Value::Constant(Constant { tensor: c.tensor.broadcast_as(sizes)?.contiguous()?, ..c }))
            }
            node => self.expanded(node, target),
        }
    }

    /// Applies a linear layer with a weight `(out, in)` to the last dimension.
    pub fn linear(&mut self, x: Value, weight: Tensor, bias: Option<Tensor>) -> Result<Value> {
        let Value::Node(mut id, mut view) = x else { bail!("a linear layer applied to a constant is not supported") };
        let last = self.sizes(id).len() - 1;
        if view.0.last().is_none_or(|axes| axes[..] != [last] || last == 0) {
            (id, view) = self.arranged(Value::Node(id, view), false)?;
            let last = self.sizes(id).len() - 1;
            ensure!(
                view.0.last().is_some_and(|axes| axes[..] == [last] && last > 0),
                "a matrix product over the batch dimension is not supported"
            );
        }
        let (out, input) = weight.dims2()?;
        let arguments =
            [("out_features", int(out)), ("in_features", int(input)), ("bias", Attribute::Bool(bias.is_some()))];
        let parameters = std::iter::once(("weight", weight)).chain(bias.map(|b| ("bias", b))).collect();
        Ok(Value::Node(self.add_with("linear", &arguments, &[id], parameters)?, view))
    }

    /// Multiplies the last dimension by a constant matrix `(in, out)`.
    pub fn along_last(&mut self, x: Value, matrix: Tensor) -> Result<Value> {
        let (id, view) = self.arranged(x, true)?;
        let last = self.sizes(id).len() - 1;
        ensure!(
            view.0.last().is_some_and(|axes| axes[..] == [last] && last > 0),
            "a matrix product over the batch dimension is not supported"
        );
        let rank = last + 1;
        let (input, out) = matrix.dims2()?;
        let leading = [&[1], &self.builder.shape(id)[1..rank - 2]].concat();
        // A value of rank 2 has one vector per picture, which becomes a matrix with one row.
        let flat = rank == 2;
        let id = if flat { self.add_beside("reshape", &[("shape", list(&[1, input]))], &[id])? } else { id };
        let leading = if flat { vec![1] } else { leading };
        let shape = [&leading[..], &[input, out]].concat();
        let matrix = matrix.broadcast_as(shape.as_slice())?.contiguous()?;
        let parameter = self.parameter(&Constant::of(matrix), &shape)?;
        let id = self.add("matmul", &[], &[id, parameter])?;
        let id = if flat { self.add_beside("reshape", &[("shape", list(&[out]))], &[id])? } else { id };
        Ok(Value::Node(id, view))
    }

    /// Reduces over `dimensions`. If `keep` is true, they are kept with size 1.
    pub fn reduced(&mut self, kind: &str, x: Value, dimensions: &[usize], keep: bool) -> Result<Value> {
        let Value::Node(id, view) = x else { bail!("{kind} of a constant is not supported here") };
        if kind == "mean" && dimensions == [2, 3] && view.is_natural(4) && self.sizes(id).len() == 4 {
            let id = self.add("global_avg_pool", &[], &[id])?;
            let rest = if keep { vec![vec![], vec![]] } else { vec![] };
            return Ok(Value::Node(id, View([vec![vec![0], vec![1]], rest].concat())));
        }
        let mut axes: Vec<_> = dimensions.iter().flat_map(|&d| view.0[d].clone()).collect();
        axes.sort_unstable();
        ensure!(!axes.contains(&0) || self.batch() == 1, "{kind} over the batch dimension is not supported");
        axes.retain(|&axis| axis != 0);
        let kept = |d: &usize| keep || !dimensions.contains(d);
        let view = View((0..view.0.len()).filter(kept).map(|d| view.0[d].clone()).collect());
        if axes.is_empty() {
            return Ok(Value::Node(id, view));
        }
        let id = self.add(kind, &[("dim", list(&axes)), ("keepdim", Attribute::Bool(keep))], &[id])?;
        Ok(Value::Node(id, if keep { view } else { without(view, &axes) }))
    }

    /// Applies a shape-preserving operation along one dimension, such as softmax.
    pub fn along(&mut self, kind: &str, x: Value, dimension: usize) -> Result<Value> {
        let (id, view, axis) = self.axis_of(x, dimension)?;
        Ok(Value::Node(self.add(kind, &[("dim", int(axis))], &[id])?, view))
    }

    /// Selects the indices `start, start + step, … < end` along one dimension.
    pub fn sliced(&mut self, x: Value, dimension: usize, range: std::ops::Range<usize>, step: usize) -> Result<Value> {
        let size = self.shape(&x)[dimension];
        if range == (0..size) && step == 1 {
            return Ok(x);
        }
        ensure!(!range.is_empty(), "the slice of a dimension of size {size} is empty");
        let (id, view, axis) = self.axis_of(x, dimension)?;
        let mut arguments = vec![("dim", int(axis)), ("start", int(range.start)), ("step", int(step))];
        if range.end != size {
            arguments.push(("end", int(range.end)));
        }
        Ok(Value::Node(self.add("slice", &arguments, &[id])?, view))
    }

    /// Selects one index along a dimension and removes that dimension, like PyTorch's `select`.
    pub fn selected(&mut self, x: Value, dimension: usize, index: usize) -> Result<Value> {
        let (id, mut view, axis) = self.axis_of(x, dimension)?;
        let id = self.add("select", &[("dim", int(axis)), ("index", int(index))], &[id])?;
        view.0.remove(dimension);
        Ok(Value::Node(id, without(view, &[axis])))
    }

    /// Selects the given indices along a dimension, like PyTorch's `index_select`.
    pub fn gathered(&mut self, x: Value, dimension: usize, indices: &[usize]) -> Result<Value> {
        let (id, view, axis) = self.axis_of(x, dimension)?;
        Ok(Value::Node(self.add("gather", &[("dim", int(axis)), ("index", list(indices))], &[id])?, view))
    }

    /// Concatenates values along a dimension.
    pub fn concatenated(&mut self, values: Vec<Value>, dimension: usize) -> Result<Value> {
        let (mut ids, mut view) = (vec![], None);
        for value in values {
            let constant = matches!(value, Value::Constant(_));
            let (id, own) = self.arranged(value, true)?;
            ids.push(id);
            if !constant {
                ensure!(
                    view.as_ref().is_none_or(|view| self.same(view, &own)),
                    "the batch dimensions of the values differ"
                );
                view = Some(own);
            }
        }
        let Some(view) = view else { bail!("nothing to concatenate") };
        let [axis] = view.0[dimension][..] else { bail!("dimension {dimension} is merged with the batch dimension") };
        ensure!(axis != 0, "concatenating along the batch dimension is not supported");
        if ids.len() == 1 {
            return Ok(Value::Node(ids[0], view));
        }
        Ok(Value::Node(self.add("concat", &[("dim", int(axis))], &ids)?, view))
    }

    /// Expands dimensions of size 1 to the sizes in `target`. A size of 1 in `target` keeps the size of the value.
    pub fn expanded(&mut self, x: Value, target: &[usize]) -> Result<Value> {
        let Value::Node(id, view) = x else { bail!("expanding a constant is not supported here") };
        let rank = target.len().max(view.0.len());
        let target = [&vec![1; rank - target.len()][..], target].concat();
        let view = padded(view, rank);
        let shape = view.shape(&self.sizes(id));
        if shape.iter().zip(&target).all(|(&size, &wanted)| wanted == size || wanted == 1) {
            return Ok(Value::Node(id, view));
        }
        let (id, view) = self.arranged(Value::Node(id, view), true)?;
        let repeats_batch = view.0.iter().zip(&target).any(|(axes, &wanted)| {
            let size: usize = axes.iter().map(|&axis| self.sizes(id)[axis]).product();
            axes.contains(&0) && wanted != size && wanted != 1
        });
        ensure!(!repeats_batch, "repeating along the batch dimension is not supported");
        let mut sizes = self.sizes(id);
        for (axes, &wanted) in view.0.iter().zip(&target) {
            if let [axis] = axes[..]
                && sizes[axis] == 1
                && axis != 0
            {
                sizes[axis] = wanted;
            }
        }
        let id = self.add("expand", &[("sizes", list(&sizes[1..]))], &[id])?;
        Ok(Value::Node(id, view))
    }

    /// Inserts dimensions of size 1, which have these indices in the result.
    pub fn unsqueezed(&mut self, x: Value, indices: &[usize]) -> Result<Value> {
        let Value::Node(id, mut view) = x else { bail!("reshaping a constant is not supported here") };
        let mut indices = indices.to_vec();
        indices.sort_unstable();
        for index in indices {
            ensure!(
                index <= view.0.len(),
                "dimension {index} is out of range for a value with {} dimensions",
                view.0.len()
            );
            view.0.insert(index, vec![]);
        }
        Ok(Value::Node(id, view))
    }

    /// Removes the given dimensions, all of which must have size 1.
    pub fn squeezed(&mut self, x: Value, dimensions: &[usize]) -> Result<Value> {
        let shape = self.shape(&x);
        let Value::Node(id, view) = x else { bail!("reshaping a constant is not supported here") };
        let one = dimensions.iter().all(|&d| shape.get(d) == Some(&1));
        ensure!(one, "cannot squeeze dimensions {dimensions:?} of {}: not all have size 1", self.shape_text(&shape));
        let rest = (0..shape.len()).filter(|d| !dimensions.contains(d)).map(|d| view.0[d].clone());
        Ok(Value::Node(id, View(rest.collect())))
    }
}

/// The value of a constant with a single element and at most `rank` dimensions; `None` for other constants.
fn single(c: &Constant, rank: usize) -> Result<Option<f64>> {
    let one = c.tensor.elem_count() == 1 && c.tensor.rank() <= rank && !c.per_batch && c.name.is_none();
    Ok(if one { numbers(&c.tensor)?.first().copied() } else { None })
}

/// Prepends dimensions of size 1 to a view until it has `rank` dimensions.
fn padded(view: View, rank: usize) -> View {
    let missing = rank - view.0.len();
    View([vec![vec![]; missing], view.0].concat())
}

/// The view of a value after `axes` are removed from its node.
fn without(view: View, axes: &[usize]) -> View {
    let left = |axis: &usize| axis - axes.iter().filter(|&&removed| removed < *axis).count();
    let stays = |axis: &&usize| !axes.contains(axis);
    View(view.0.iter().map(|group| group.iter().filter(stays).map(left).collect()).collect())
}
