//! Tracks operators that change a tensor in place, and tensors that are views of others.
//!
//! A `.pt2` file written by `torch.export.export` contains in-place operators such as `relu_`, or `fill_` on a slice. Each changes the
//! value of a tensor and, if the tensor is a view, of the tensor that it views.

use crate::model::onnx::program::Node;
use std::collections::{HashMap, HashSet};

/// Functions whose result shares memory with their input.
const VIEWS: [&str; 23] = [
    "slice",
    "narrow",
    "select",
    "view",
    "unflatten",
    "permute",
    "transpose",
    "swapaxes",
    "swapdims",
    "t",
    "numpy_T",
    "unsqueeze",
    "squeeze",
    "expand",
    "expand_as",
    "unbind",
    "chunk",
    "split",
    "split_with_sizes",
    "alias",
    "detach",
    "dropout",
    "feature_dropout",
];

/// Functions whose result either shares memory with their input or is a copy, depending on the input's memory layout.
const MAYBE_VIEWS: [&str; 3] = ["reshape", "flatten", "contiguous"];

/// How a tensor is derived from another one.
#[derive(Clone)]
enum Taking {
    /// The two names refer to the same tensor.
    Same,
    /// The tensor is the output of an operator whose first input is the other tensor.
    By(Node),
    /// The tensor was derived by several operators, or may be a copy.
    Unknown,
}

/// The state of tensors that are changed in place, by their names in the file.
#[derive(Default)]
pub struct InPlace {
    /// The current value of each tensor that was changed.
    current: HashMap<String, String>,
    /// The tensor that each view was derived from, and how.
    taken: HashMap<String, (String, Taking)>,
    /// Tensors with a changed view: the chain of operators that leads from the tensor to the view, and the view's new value.
    pending: HashMap<String, (Vec<Node>, String)>,
    /// Tensors whose value is no longer known, because they share memory with a tensor that was changed.
    stale: HashSet<String>,
}

/// Whether the function `name` changes its input in place.
pub fn changes(name: &str) -> bool {
    name.ends_with('_') && !name.ends_with("__")
}

impl InPlace {
    /// The name of a tensor's current value; `None` if the tensor was not changed.
    pub fn current(&self, tensor: &str) -> Option<&String> {
        self.current.get(tensor)
    }

    /// Whether the value of a tensor is no longer known, because it shares memory with a tensor that was changed.
    pub fn is_stale(&self, tensor: &str) -> bool {
        self.stale.contains(tensor)
    }

    /// Records that `outputs`, which the function `base` computes from `from`, may be views of `from`. `nodes` are the operators that
    /// compute the outputs.
    pub fn take(&mut self, base: &str, from: &str, outputs: &[String], nodes: &[Node]) {
        let taking = match (nodes, outputs) {
            _ if MAYBE_VIEWS.contains(&base) => Taking::Unknown,
            _ if !VIEWS.contains(&base) => return,
            ([node], [_]) => Taking::By(node.clone()),
            _ => Taking::Unknown,
        };
        self.taken.extend(outputs.iter().map(|output| (output.clone(), (from.into(), taking.clone()))));
    }

    /// Records that the value of `tensor` is now `result`, which becomes another name of the tensor.
    pub fn change(&mut self, tensor: &str, result: &str) {
        let (mut root, mut chain) = (tensor.to_string(), Some(vec![]));
        while let Some((from, taking)) = self.taken.get(&root) {
            match (taking, &mut chain) {
                (Taking::By(node), Some(nodes)) => nodes.push(node.clone()),
                (Taking::Unknown, _) => chain = None,
                _ => {}
            }
            root.clone_from(from);
        }
        self.taken.insert(result.into(), (tensor.into(), Taking::Same));
        let (same, others): (Vec<_>, Vec<_>) = self
            .taken
            .keys()
            .filter(|view| self.root(view) == root)
            .cloned()
            .partition(|view| self.end_of_same(view) == self.end_of_same(tensor));
        self.stale.extend(others);
        for name in same.into_iter().chain([tensor.to_string()]) {
            self.stale.remove(&name);
            self.current.insert(name, result.into());
        }
        match chain {
            Some(nodes) if nodes.is_empty() => drop(self.current.insert(root, result.into())),
            Some(mut nodes) if !self.pending.contains_key(&root) => {
                nodes.reverse();
                self.pending.insert(root, (nodes, result.into()));
            }
            _ => drop(self.stale.insert(root)),
        }
    }

    /// Resolves `name` to the original name of the same tensor.
    fn end_of_same<'a>(&'a self, mut name: &'a str) -> &'a str {
        while let Some((from, Taking::Same)) = self.taken.get(name) {
            name = from;
        }
        name
    }

    /// Removes and returns the change to a view that has not yet been applied to `tensor`.
    pub fn pending(&mut self, tensor: &str) -> Option<(Vec<Node>, String)> {
        self.pending.remove(tensor)
    }

    /// Sets the value of a tensor after one of its views was changed.
    pub fn set(&mut self, tensor: &str, value: String) {
        self.current.insert(tensor.into(), value);
    }

    fn root<'a>(&'a self, mut view: &'a str) -> &'a str {
        while let Some((from, _)) = self.taken.get(view) {
            view = from;
        }
        view
    }
}
