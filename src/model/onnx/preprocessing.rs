//! Recognizes networks that normalize their input pictures themselves.

use super::program::{Node, Program};
use crate::tensor::numbers;

/// The standard deviation by which pictures in `[0, 1]` must be divided for a network that normalizes them itself: 1 if it expects pixel
/// values in `[0, 1]`, 1/255 if it expects values in 0–255. `None` if the network expects normalized pictures.
///
/// A network normalizes if each operator that reads the pictures subtracts a constant from them, or scales them, per channel.
pub fn built_in(program: &Program, input: &str) -> Option<f64> {
    let mut readers = program.nodes.iter().filter(|node| node.inputs.iter().any(|name| name == input)).peekable();
    readers.peek()?;
    let ranges = readers.map(|node| range(program, node, input)).collect::<Option<Vec<_>>>()?;
    Some(if ranges.iter().any(|&bytes| bytes) { 1.0 / 255.0 } else { 1.0 })
}

/// Whether an operator that normalizes pictures expects values up to 255; `None` if it does not normalize.
fn range(program: &Program, node: &Node, input: &str) -> Option<bool> {
    let [first, second] = &node.inputs[..] else { return None };
    let constant = if first == input { second } else { first };
    let values = numbers(program.constants.get(constant).filter(|t| t.elem_count() <= 4)?).ok()?;
    let largest = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    match node.op.as_str() {
        // A mean has the range of the pixels.
        "Sub" | "Add" => Some(largest > 1.0),
        "Div" => Some(largest > 1.0),
        "Mul" => Some(largest < 0.1),
        _ => None,
    }
}
