//! Converts exported programs to graphs: the values of a program, the nodes that compute them, and the weights.
//!
//! Each format reads its own operators; this module contains the parts that they share.

mod combine;
mod names;
mod view;

pub use names::{is_parameter_name, joined, module_of};
pub use view::View;

use crate::graph::op::{Attribute, OpSpec, Parameter, spec};
use crate::graph::{Builder, Graph, NodeId};
use crate::tensor::shape_text;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use view::{Arranged, is_reshape};

/// Stand-in for the batch size in the shapes of a program whose batch size is dynamic. It is a large prime that divides no other size, so
/// that sizes that depend on the batch can be recognized.
pub const FREE_BATCH: usize = 1_000_003;

/// A value of an exported program.
#[derive(Clone, Debug)]
pub enum Value {
    /// A value that does not depend on the picture.
    Constant(Constant),
    /// The value of a node.
    Node(NodeId, View),
}

/// A value that does not depend on the picture.
#[derive(Clone, Debug)]
pub struct Constant {
    /// The values. Integers are i64, booleans u8, and floats f32 or f64.
    pub tensor: Tensor,
    /// The name of the parameter, if the constant is a parameter.
    pub name: Option<String>,
    /// Whether the first dimension, which has size 1 in `tensor`, is the batch dimension.
    pub per_batch: bool,
}

impl Constant {
    /// Creates a constant that is not a parameter.
    pub fn of(tensor: Tensor) -> Self {
        Self { tensor, name: None, per_batch: false }
    }
}

/// A graph under construction from an exported program.
pub struct Importer {
    builder: Builder,
    weights: BTreeMap<String, Tensor>,
    /// The batch size in the program's shapes: [`FREE_BATCH`] if it is dynamic.
    batch: usize,
    /// The name of the node being built.
    label: String,
    /// Number of times each name was requested.
    taken: HashMap<String, usize>,
}

impl Importer {
    /// Starts a graph for pictures of shape `picture`, `[C, H, W]`, in a program with batch size `batch`.
    pub fn new(picture: &[usize], batch: usize) -> Self {
        let taken = HashMap::from([("input".to_string(), 1)]);
        Self { builder: Builder::new(picture), weights: BTreeMap::new(), batch, label: String::new(), taken }
    }

    /// Starts a graph whose input is the tensor `x` of a program. If `batched`, the first dimension of `x` is the batch dimension.
    /// Also returns the value of `x`, and the tensor to run the graph on.
    pub fn of_tensor(x: &Tensor, batched: bool) -> Result<(Self, Value, Tensor)> {
        if batched {
            ensure!(x.rank() > 1, "the input has no dimension other than the batch dimension");
            let importer = Self::new(&x.dims()[1..], x.dims()[0]);
            let value = importer.input();
            return Ok((importer, value, x.clone()));
        }
        let view = View((1..=x.rank()).map(|axis| vec![axis]).collect());
        // A value has at least one dimension other than the batch dimension.
        let x = if x.rank() == 0 { x.reshape((1, 1))? } else { x.unsqueeze(0)? };
        Ok((Self::new(&x.dims()[1..], 1), Value::Node(0, view), x))
    }

    /// The pictures, as a value of the program.
    pub fn input(&self) -> Value {
        Value::Node(0, View::natural(self.builder.shape(0).len()))
    }

    /// The batch size in the program's shapes.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Sets the names of the nodes added next: the first is called `label`, and the others get names derived from `label`.
    pub fn label(&mut self, label: impl Into<String>) {
        self.label = label.into();
    }

    /// The current label.
    pub fn current_label(&self) -> &str {
        &self.label
    }

    /// Finishes the graph, with the node of `output` as its output, and returns its weights by name.
    pub fn finish(mut self, output: Value) -> Result<(Graph, BTreeMap<String, Tensor>)> {
        let Value::Node(..) = output else { bail!("the output does not depend on the picture") };
        let (id, view) = self.arranged(output, false)?;
        let leads = view.0.first().is_some_and(|first| first.contains(&0));
        ensure!(leads || self.batch == 1, "the first dimension of the output is not the batch dimension");
        let graph = self.builder.finish(id)?;
        let needed: Vec<_> = graph.parameters().into_iter().map(|p| p.name).collect();
        self.weights.retain(|name, _| needed.contains(name));
        Ok((graph, self.weights))
    }

    /// The sizes of a node's axes, with the program's batch size.
    pub fn sizes(&self, id: NodeId) -> Vec<usize> {
        [&[self.batch], &self.builder.shape(id)[1..]].concat()
    }

    /// The shape that a value has in the program.
    pub fn shape(&self, value: &Value) -> Vec<usize> {
        match value {
            Value::Node(id, view) => view.shape(&self.sizes(*id)),
            Value::Constant(c) => {
                let mut shape = c.tensor.dims().to_vec();
                if c.per_batch {
                    shape[0] = self.batch;
                }
                shape
            }
        }
    }

    /// Adds a node of kind `kind`, named by the label.
    pub fn add(&mut self, kind: &str, arguments: &[(&str, Attribute)], inputs: &[NodeId]) -> Result<NodeId> {
        let kind = spec(kind).with_context(|| format!("unknown operation \"{kind}\""))?;
        let name = self.label.clone();
        self.add_named(&name, kind, arguments, inputs)
    }

    /// Adds a node that only prepares a value for the node named by the label, such as a reshape.
    pub fn add_beside(&mut self, kind: &str, arguments: &[(&str, Attribute)], inputs: &[NodeId]) -> Result<NodeId> {
        let spec = spec(kind).with_context(|| format!("unknown operation \"{kind}\""))?;
        // An operator that is only a reshape needs no additional name.
        let own = self.label.rsplit('.').next() == Some(kind);
        let name = if own { self.label.clone() } else { format!("{}.{kind}", self.label) };
        self.add_named(&name, spec, arguments, inputs)
    }

    /// Adds a node of kind `kind`, named by the label, and sets its parameters.
    pub fn add_with(
        &mut self,
        kind: &str,
        arguments: &[(&str, Attribute)],
        inputs: &[NodeId],
        parameters: Vec<(&str, Tensor)>,
    ) -> Result<NodeId> {
        let id = self.add(kind, arguments, inputs)?;
        self.give(id, parameters)?;
        Ok(id)
    }

    fn add_named(
        &mut self,
        name: &str,
        spec: &'static OpSpec,
        arguments: &[(&str, Attribute)],
        inputs: &[NodeId],
    ) -> Result<NodeId> {
        let shapes: Vec<_> = inputs.iter().map(|&id| self.builder.shape(id)).collect();
        let given = arguments.iter().map(|(name, value)| (name.to_string(), value.clone()));
        let op = spec.build(given, &shapes)?;
        let name = self.unique(name);
        self.builder.add_shared(&name, op, inputs)
    }

    /// Sets the values of the parameters of a node.
    fn give(&mut self, id: NodeId, parameters: Vec<(&str, Tensor)>) -> Result<()> {
        let name = self.builder.name(id).to_string();
        for (parameter, value) in parameters {
            let full = if parameter.is_empty() { name.clone() } else { format!("{name}.{parameter}") };
            self.weights.insert(full, value.to_dtype(DType::F32)?.contiguous()?);
        }
        Ok(())
    }

    /// A name that is not taken: `name`, or `name` with `_1`, `_2`, … appended.
    fn unique(&mut self, name: &str) -> String {
        let name = if name.is_empty() { "layer" } else { name };
        loop {
            let count = self.taken.entry(name.to_string()).or_default();
            *count += 1;
            let found = if *count == 1 { name.to_string() } else { format!("{name}_{}", *count - 1) };
            if *count == 1 || self.taken.insert(found.clone(), 1).is_none() {
                return found;
            }
        }
    }

    /// Returns a node whose axes are the exported dimensions of a value, with the batch dimension as a separate axis. If `units` is true,
    /// dimensions of size 1 are axes too. Adds a permutation and a reshape where necessary.
    pub fn arranged(&mut self, value: Value, units: bool) -> Result<(NodeId, View)> {
        let (id, view) = match value {
            Value::Node(id, view) => (id, view),
            Value::Constant(constant) => return self.constant_node(&constant),
        };
        let sizes = self.sizes(id);
        let Arranged { order, sizes: wanted, view } = view.arranged(&sizes, units);
        let mut at = id;
        if !is_reshape(&order, &sizes) {
            at = match &swapped(&order) {
                Some((a, b)) => self.add_beside("transpose", &[("dim0", int(*a)), ("dim1", int(*b))], &[at])?,
                None => self.add_beside("permute", &[("dims", list(&order))], &[at])?,
            };
        }
        if self.builder.shape(at)[1..] != wanted[..] {
            at = self.add_beside("reshape", &[("shape", list(&wanted))], &[at])?;
        }
        Ok((at, view))
    }

    /// Rearranges a value so that each exported dimension is one axis; unchanged unless the first dimension is the batch dimension.
    pub fn settled(&mut self, value: Value) -> Result<Value> {
        let Value::Node(id, view) = &value else { return Ok(value) };
        let arranged = view.arranged(&self.sizes(*id), true);
        if view.is_natural(self.builder.shape(*id).len()) || !arranged.view.is_natural(view.0.len()) {
            return Ok(value);
        }
        let (id, view) = self.arranged(value, true)?;
        Ok(Value::Node(id, view))
    }

    /// Passes a value through a node that leaves it unchanged and stands for a layer merged into the previous one.
    pub fn identity(&mut self, value: Value, name: &str) -> Result<Value> {
        let Value::Node(id, view) = value else { return Ok(value) };
        self.label(name);
        Ok(Value::Node(self.add("dropout", &[("p", Attribute::Float(0.0))], &[id])?, view))
    }

    /// Like [`arranged`](Self::arranged), for operations whose first input dimension is the batch dimension.
    ///
    /// Errors if the batch dimension is not the first or is merged with another.
    pub fn batch_first(&mut self, value: Value) -> Result<NodeId> {
        let shape = self.shape(&value);
        let (id, view) = self.arranged(value, true)?;
        let rank = self.builder.shape(id).len();
        ensure!(
            view.is_natural(rank),
            "the batch dimension is not the first dimension of {}, or is merged with another",
            self.shape_text(&shape)
        );
        Ok(id)
    }

    /// Adds a node with the values of a constant. The node's first axis is the batch axis, even if the constant has no batch dimension.
    fn constant_node(&mut self, constant: &Constant) -> Result<(NodeId, View)> {
        let dims = constant.tensor.dims();
        // A first dimension of size 1 is the batch dimension.
        let first = dims.first() == Some(&1);
        let shape = if first { dims.to_vec() } else { [&[1], dims].concat() };
        let view =
            if first { View::natural(shape.len()) } else { View((1..shape.len()).map(|axis| vec![axis]).collect()) };
        let id = self.parameter(constant, &shape)?;
        Ok((id, view))
    }

    /// Adds a node with the values of a constant, reshaped to `shape`, whose first size is 1.
    pub fn parameter(&mut self, constant: &Constant, shape: &[usize]) -> Result<NodeId> {
        let name = match &constant.name {
            Some(name) if is_parameter_name(name) => name.clone(),
            _ => format!("{}.constant", self.label),
        };
        let name = self.unique(&name);
        let op = Arc::new(Parameter { shape: shape.to_vec(), batch: true });
        let id = self.builder.add_shared(&name, op, &[])?;
        self.weights.insert(name, constant.tensor.to_dtype(DType::F32)?.reshape(shape)?.contiguous()?);
        Ok(id)
    }

    /// Reshapes a value to the exported shape `target`.
    pub fn reshaped(&mut self, value: Value, target: &[usize]) -> Result<Value> {
        let (id, view) = match value {
            Value::Node(id, view) => (id, view),
            Value::Constant(_) => bail!("reshaping a constant is not supported here"),
        };
        if let Some(split) = view.regrouped(&self.sizes(id), target) {
            if split.factors.iter().all(|parts| parts.len() == 1) {
                return Ok(Value::Node(id, split.view));
            }
            let sizes: Vec<_> = split.factors[1..].concat();
            // A value can have at most six dimensions, so a larger one must be merged first.
            if sizes.len() < 6 {
                let at = self.add_beside("reshape", &[("shape", list(&sizes))], &[id])?;
                return Ok(Value::Node(at, split.view));
            }
        }
        let (at, view) = self.arranged(Value::Node(id, view), false)?;
        let leads = view.0.iter().find(|axes| !axes.is_empty()).is_some_and(|axes| axes[0] == 0);
        let first = *target.first().context("the shape has no dimensions")?;
        ensure!(
            leads && (self.batch == 1 || first.is_multiple_of(self.batch)),
            "reshaping to {} splits the batch dimension",
            self.shape_text(target)
        );
        let merged = first / self.batch;
        let sizes = if merged == 1 { target[1..].to_vec() } else { [&[merged], &target[1..]].concat() };
        let id = self.add_beside("reshape", &[("shape", list(&sizes))], &[at])?;
        let shift = usize::from(merged != 1);
        let first = if merged == 1 { vec![0] } else { vec![0, 1] };
        let view = std::iter::once(first).chain((1..target.len()).map(|d| vec![d + shift]));
        Ok(Value::Node(id, View(view.collect())))
    }

    /// Returns the node, view and axis of the exported dimension `dimension`. Rearranges the value first if the dimension is not a single
    /// axis.
    ///
    /// Errors if the dimension is the batch dimension or is merged with it.
    pub fn axis_of(&mut self, value: Value, dimension: usize) -> Result<(NodeId, View, usize)> {
        let Value::Node(id, view) = value else { bail!("not supported for constants") };
        if let [axis] = view.0[dimension][..]
            && axis != 0
        {
            return Ok((id, view, axis));
        }
        let (id, view) = self.arranged(Value::Node(id, view), true)?;
        match view.0[dimension][..] {
            [axis] if axis != 0 => Ok((id, view, axis)),
            _ => bail!("dimension {dimension} is the batch dimension or is merged with it"),
        }
    }

    /// Formats a shape in the program, with `N` for a dynamic batch size.
    pub fn shape_text(&self, shape: &[usize]) -> String {
        let text = |&n: &usize| match n {
            n if self.batch == FREE_BATCH && n == FREE_BATCH => "N".into(),
            n if self.batch == FREE_BATCH && n != 0 && n.is_multiple_of(FREE_BATCH) => format!("{}N", n / FREE_BATCH),
            n => shape_text(&[n]),
        };
        shape.iter().map(text).collect::<Vec<_>>().join("x")
    }
}

/// The two axes that a permutation swaps; `None` if the permutation is not a swap of two axes.
fn swapped(order: &[usize]) -> Option<(usize, usize)> {
    let moved: Vec<_> = (0..order.len()).filter(|&at| order[at] != at).collect();
    match moved[..] {
        [a, b] => Some((a, b)),
        _ => None,
    }
}

/// An integer argument.
pub fn int(n: usize) -> Attribute {
    Attribute::Int(n as i64)
}

/// A list of sizes as an argument.
pub fn list(sizes: &[usize]) -> Attribute {
    Attribute::List(sizes.iter().map(|&n| int(n)).collect())
}
