//! Rewrites strided views, which PyTorch's exporter indexes element by element.
//!
//! PyTorch's `as_strided` becomes a flat index for every element, `n · K + c` for picture `n` with `K` values, and a `Gather` from the
//! flattened value. If the batch size is dynamic, the index is computed from it.

use super::evaluate::{evaluate, integers};
use super::program::{Attributes, Node, Program};
use crate::graph::op::Attribute;
use candle_core::{Device, Tensor};
use std::collections::HashMap;

/// Maximum length of a chain of operators that computes an index.
const DEEPEST: usize = 32;

/// The elements of each picture that a flat index selects.
struct PerPicture {
    /// Number of values per picture.
    size: i64,
    /// Index of each selected value within a picture.
    index: Vec<i64>,
    /// Shape of the selected values of a picture.
    shape: Vec<i64>,
}

/// Rewrites flat indexing of an entire batch as indexing of each picture.
pub fn rewrite(program: &mut Program) {
    let producer: HashMap<String, usize> =
        program.nodes.iter().enumerate().flat_map(|(at, n)| n.outputs.iter().map(move |o| (o.clone(), at))).collect();
    let found: HashMap<usize, Vec<Node>> = (0..program.nodes.len())
        .filter_map(|at| {
            let (flattened, per_picture) = flat_gather(program, &producer, at)?;
            Some((at, replacement(program, at, &flattened, per_picture)?))
        })
        .collect();
    if found.is_empty() {
        return;
    }
    let nodes = std::mem::take(&mut program.nodes).into_iter().enumerate();
    program.nodes = nodes.flat_map(|(at, node)| found.get(&at).cloned().unwrap_or_else(|| vec![node])).collect();
    program.prune();
}

/// The input of the `Gather` at `at` before it is flattened, and the elements selected from each picture.
fn flat_gather(program: &Program, producer: &HashMap<String, usize>, at: usize) -> Option<(String, PerPicture)> {
    let gather = program.nodes.get(at).filter(|node| node.op == "Gather" && node.attributes.int("axis", 0) == 0)?;
    let flatten = program.nodes.get(*producer.get(&gather.inputs[0])?).filter(|node| node.op == "Reshape")?;
    let flat = integers(program.constants.get(flatten.inputs.get(1)?)?).ok()? == [-1];
    if !flat || program.constants.contains_key(&gather.inputs[1]) {
        return None;
    }
    let index = |batch| value(program, producer, &gather.inputs[1], batch, DEEPEST);
    let per_picture = per_picture(&index(2)?, 2)?;
    let again = self::per_picture(&index(3)?, 3)?;
    let same = (per_picture.size, &per_picture.index, &per_picture.shape) == (again.size, &again.index, &again.shape);
    same.then(|| (flatten.inputs[0].clone(), per_picture))
}

/// Splits a flat index over `batch` pictures into the same selection for each picture; `None` if the pictures' selections differ.
fn per_picture(index: &Tensor, batch: usize) -> Option<PerPicture> {
    let shape: Vec<i64> = index.dims().get(1..)?.iter().map(|&n| n as i64).collect();
    let all = integers(index).ok()?;
    let count = all.len() / batch;
    if index.dims()[0] != batch || count == 0 {
        return None;
    }
    let (first, size) = (all[..count].to_vec(), all[count] - all[0]);
    let regular = all.iter().enumerate().all(|(i, &n)| n == first[i % count] + size * (i / count) as i64);
    let inside = first.iter().all(|n| (0..size).contains(n));
    (regular && inside).then_some(PerPicture { size, index: first, shape })
}

/// Operators that replace the `Gather` at `at` and select the same elements from each picture.
fn replacement(program: &mut Program, at: usize, from: &str, picked: PerPicture) -> Option<Vec<Node>> {
    let gather = program.nodes[at].clone();
    let result = gather.outputs[0].clone();
    let mut constant = |what: &str, values: Vec<i64>| -> Option<String> {
        let name = format!("{result} {what}");
        program.constants.insert(name.clone(), Tensor::new(values, &Device::Cpu).ok()?);
        Some(name)
    };
    let shape: Vec<i64> = std::iter::once(-1).chain(picked.shape).collect();
    let (rows, shape) = (constant("rows", vec![-1, picked.size])?, constant("shape", shape)?);
    let is_all = picked.index.iter().copied().eq(0..picked.size);
    let index = if is_all { None } else { Some(constant("index", picked.index)?) };
    let node = |op: &str, inputs: [&str; 2], output: &str, attributes: Attributes| Node {
        op: op.into(),
        attributes,
        inputs: inputs.map(String::from).to_vec(),
        outputs: vec![output.into()],
        ..gather.clone()
    };
    let (flat, selected) = (format!("{result} flat"), format!("{result} selected"));
    let mut nodes = vec![node("Reshape", [from, &rows], &flat, Attributes::default())];
    if let Some(index) = &index {
        let axis = Attributes::of(&[("axis", Attribute::Int(1))]);
        nodes.push(node("Gather", [&flat, index], &selected, axis));
    }
    let last = if index.is_some() { &selected } else { &flat };
    nodes.push(node("Reshape", [last, &shape], &result, Attributes::default()));
    Some(nodes)
}

/// Computes the value `name` for a batch of `batch` pictures; `None` if it depends on anything other than constants and the batch size.
fn value(program: &Program, producer: &HashMap<String, usize>, name: &str, batch: i64, depth: usize) -> Option<Tensor> {
    if let Some(constant) = program.constants.get(name) {
        return Some(constant.clone());
    }
    let node = &program.nodes[*producer.get(name)?];
    if node.op == "Shape" {
        let is_batch = node.attributes.int("start", 0) == 0 && node.attributes.int("end", -1) == 1;
        let of_input = program.inputs.iter().any(|input| input.name == node.inputs[0]);
        return if is_batch && of_input { Tensor::new(vec![batch], &Device::Cpu).ok() } else { None };
    }
    let depth = depth.checked_sub(1)?;
    let read = |input: &String| match input.is_empty() {
        true => Some(None),
        false => value(program, producer, input, batch, depth).map(Some),
    };
    let inputs = node.inputs.iter().map(read).collect::<Option<Vec<_>>>()?;
    let found = evaluate(&node.op, &node.attributes, &inputs, (program.opset, node.outputs.len())).ok()??;
    let at = node.outputs.iter().position(|output| output == name)?;
    found.into_iter().nth(at)
}
