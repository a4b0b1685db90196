//! An operator to convert, with its inputs and attributes.

use super::super::evaluate::integers;
use super::super::program::Node;
use crate::graph::op::{Attribute, Family, Inputs, OpSpec, SPECS};
use crate::model::import::{Constant, Importer, Value};
use anyhow::{Context, Result, bail};

/// An operator to convert: the node, its inputs, and the opset version.
#[derive(Clone)]
pub struct Operator<'a> {
    pub node: &'a Node,
    pub inputs: Vec<Option<Value>>,
    pub opset: i64,
}

/// Adds the nodes of an operator and returns its outputs.
pub type Lower = fn(&mut Importer, Operator) -> Result<Vec<Value>>;

impl Operator<'_> {
    /// The value of input `i`, which must be present.
    pub fn value(&self, i: usize) -> Result<Value> {
        self.inputs.get(i).cloned().flatten().with_context(|| format!("input {i} is missing"))
    }

    /// Input `i`, which must be a constant; `None` if it is omitted.
    pub fn given(&self, i: usize) -> Result<Option<&Constant>> {
        match self.inputs.get(i).and_then(Option::as_ref) {
            None => Ok(None),
            Some(Value::Constant(constant)) => Ok(Some(constant)),
            Some(Value::Node(..)) => {
                bail!("input {i} (\"{}\") must be constant, but depends on the picture", self.node.inputs[i])
            }
        }
    }

    /// Input `i`, which must be a constant and present.
    pub fn constant(&self, i: usize) -> Result<&Constant> {
        self.given(i)?.with_context(|| format!("input {i} is missing"))
    }

    /// An integer attribute.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.node.attributes.int(name, default)
    }

    /// A list of sizes in an attribute; `None` if it is not given.
    pub fn sizes(&self, name: &str) -> Result<Option<Vec<usize>>> {
        let size = |n: i64| usize::try_from(n).with_context(|| format!("\"{name}\" contains {n}"));
        self.node.attributes.ints(name).map(|all| all.into_iter().map(size).collect()).transpose()
    }
}

/// Converts two sizes to an argument of an operation.
pub fn pair(sizes: &[usize]) -> Attribute {
    crate::model::import::list(sizes)
}

/// The values of input `i`, which must be a constant integer tensor; `None` if it is omitted.
pub fn list_of(o: &Operator, i: usize) -> Result<Option<Vec<i64>>> {
    o.given(i)?.map(|c| integers(&c.tensor)).transpose()
}

/// The activation whose ONNX operator is `op`.
pub fn activation(op: &str) -> Option<&'static OpSpec> {
    // Recomposed activations are named by their kind.
    let own = op.strip_prefix("activation.");
    let named = |spec: &OpSpec| own.map_or(spec.onnx.contains(&op), |kind| spec.kind == kind);
    let fits = |spec: &&&OpSpec| spec.family == Family::Activation && spec.inputs == Inputs::One && named(spec);
    SPECS.iter().find(fits).copied()
}
