//! Runs ONNX's conformance tests: folders with a network, its inputs and the expected outputs.

use super::constants::compute;
use super::convert::add_nodes;
use super::evaluate::evaluate;
use super::lower::lower;
use super::program::{Input, Node, Program};
use super::proto::TensorProto;
use super::{patterns, tensor};
use crate::data::read_whole;
use crate::model::import::{Importer, Value};
use crate::tensor::numbers;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use prost::Message;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Maximum size in bytes of each file of a test.
const MAX_BYTES: u64 = 1 << 30;
/// Relative and absolute tolerance, as in ONNX's own test runner.
const TOLERANCE: (f64, f64) = (1e-3, 1e-7);

/// The outcome of a test.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// All outputs match the expected ones.
    Passed,
    /// The first mismatch or error.
    Failed(String),
    /// The test uses these operators, which are not supported.
    NotClaimed(BTreeSet<String>),
}

/// The folders with a test in `folder` and its subfolders, sorted.
///
/// Errors if the folder cannot be read.
pub fn tests(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    if folder.join("model.onnx").is_file() {
        found.push(folder.to_path_buf());
    }
    let mut inner = vec![];
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            inner.push(path);
        }
    }
    inner.sort();
    for path in inner {
        found.extend(tests(&path)?);
    }
    Ok(found)
}

/// Runs the test in a folder: the operators are evaluated with all inputs as constants and, if there is a float input, run as a
/// network with that input. The results of all supported operators must match the expected outputs.
pub fn run(folder: &Path) -> Verdict {
    match checked(folder) {
        Ok(verdict) => verdict,
        Err(error) => Verdict::Failed(format!("{error:#}")),
    }
}

fn checked(folder: &Path) -> Result<Verdict> {
    let decode = || Program::decode(read_whole(&folder.join("model.onnx"), MAX_BYTES)?, Some(folder));
    let program = decode()?;
    let unknown: BTreeSet<_> = program
        .nodes
        .iter()
        .filter_map(|node| match node.unsupported() {
            Some(variant) => Some(format!("{} with {variant}", node.op)),
            None => {
                let known = node.is_shape() || lower(&node.op).is_some() || is_evaluated(&node.op, program.opset);
                (!known).then(|| node.op.clone())
            }
        })
        .collect();
    if !unknown.is_empty() {
        return Ok(Verdict::NotClaimed(unknown));
    }
    let mut ran = false;
    for set in 0.. {
        let data = folder.join(format!("test_data_set_{set}"));
        if !data.is_dir() {
            break;
        }
        let read = |kind: &str, count: usize| -> Result<Vec<Option<Tensor>>> {
            let file = |i: usize| data.join(format!("{kind}_{i}.pb"));
            (0..count).map(|i| if file(i).is_file() { tensor_in(&file(i)).map(Some) } else { Ok(None) }).collect()
        };
        let inputs = read("input", program.inputs.len())?;
        let wanted = read("output", program.outputs.len())?;
        let known: HashMap<_, _> = program.inputs.iter().map(|i| i.name.clone()).zip(inputs).collect();
        let known: HashMap<String, Tensor> = known.into_iter().filter_map(|(name, t)| Some((name, t?))).collect();
        let several = |node: &Node| {
            let exponent = node.inputs.get(1).and_then(|name| known.get(name));
            node.op == "Pow" && exponent.is_some_and(|e| e.elem_count() > 1)
        };
        if program.nodes.iter().any(several) {
            return Ok(Verdict::NotClaimed(BTreeSet::from(["Pow with several exponents".into()])));
        }
        // Evaluated at import time, like shapes and weights.
        let mut whole = decode()?;
        whole.constants.extend(known.clone());
        whole.inputs.clear();
        let all = evaluated(&whole)?;
        compare(&whole.outputs, &wanted, |name| Ok(all.get(name).cloned()))?;
        ran = true;
        // Run as a network with the first float input.
        let float =
            program.inputs.iter().find(|i| known.get(&i.name).is_some_and(|t| t.dtype().is_float() && t.rank() > 0));
        let Some(input) = float.filter(|input| supported(&program, &input.name)) else { continue };
        let x = &known[&input.name];
        if x.elem_count() == 0 {
            continue;
        }
        for (name, wanted) in program.outputs.iter().zip(&wanted) {
            // Networks have no empty values.
            let Some(wanted) = wanted.as_ref().filter(|t| !name.is_empty() && t.elem_count() > 0) else { continue };
            let by_batch = as_network(decode()?, &input.name, &known, name, true);
            let found = match by_batch {
                Ok(found) => Ok(found),
                // The first dimension need not be a batch dimension.
                Err(first) => as_network(decode()?, &input.name, &known, name, false)
                    .map_err(|second| if x.rank() > 1 { first } else { second }),
            }?;
            if let Some(found) = found {
                compare(std::slice::from_ref(name), &[Some(wanted.clone())], |_| Ok(Some(found.clone())))?;
                ran = true;
            }
        }
    }
    ensure!(ran, "the test has no usable data");
    Ok(Verdict::Passed)
}

/// Whether an operator can be evaluated when its inputs are constants.
fn is_evaluated(op: &str, opset: i64) -> bool {
    // A known operator reports its missing inputs; an unknown one returns `None`.
    !matches!(evaluate(op, &super::program::Attributes::default(), &[], (opset, 1)), Ok(None))
}

/// Whether all operators that depend on an input are supported.
fn supported(program: &Program, input: &str) -> bool {
    let mut moving = HashSet::from([input]);
    for node in program.nodes.iter().filter(|node| !node.is_shape()) {
        if node.inputs.iter().any(|name| moving.contains(name.as_str())) {
            if lower(&node.op).is_none() {
                return false;
            }
            moving.extend(node.outputs.iter().map(String::as_str));
        }
    }
    true
}

/// Evaluates a program without inputs and returns its values by name.
fn evaluated(program: &Program) -> Result<HashMap<String, Tensor>> {
    let mut values = program.constants.clone();
    for node in &program.nodes {
        let inputs: Vec<_> = node.inputs.iter().map(|name| values.get(name).cloned()).collect();
        let found = compute(node, &inputs, program.opset).with_context(|| format!("{} of constants", node.op))?;
        let found = found.with_context(|| format!("{} has no result", node.op))?;
        values.extend(node.outputs.iter().cloned().zip(found).filter(|(name, _)| !name.is_empty()));
    }
    Ok(values)
}

/// Computes one output of a program with a network whose input is one of the program's inputs. If `batched` is true, the first
/// dimension of the input is the batch dimension. `None` if the output does not depend on the input.
fn as_network(
    mut program: Program,
    input: &str,
    known: &HashMap<String, Tensor>,
    output: &str,
    batched: bool,
) -> Result<Option<Tensor>> {
    let x = &known[input];
    let dtype = if x.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
    let x = x.to_dtype(dtype)?;
    program.outputs = vec![output.into()];
    let others = known.iter().filter(|(name, _)| *name != input);
    program.constants.extend(others.map(|(name, t)| (name.clone(), t.clone())));
    program.inputs = vec![Input { name: input.into(), shape: vec![] }];
    program.prune();
    if program.inputs.is_empty() {
        return Ok(None);
    }
    patterns::fold(&mut program);
    patterns::put_together(&mut program)?;
    let (mut importer, value, x) = Importer::of_tensor(&x, batched)?;
    let mut values = HashMap::from([(input.to_string(), value)]);
    add_nodes(&mut program, &mut importer, &mut values)?;
    let end = values.remove(output).context("no operator computes the output")?;
    if matches!(end, Value::Constant(_)) {
        return Ok(None);
    }
    let shape = importer.shape(&end);
    let (graph, weights) = importer.finish(end)?;
    let graph = Arc::new(graph.with_weights(weights)?.to(dtype, &Device::Cpu)?);
    let y = graph.forward_with(&x, &mut |_, y| Ok(y))?.value(graph.output)?.clone();
    Ok(Some(y.reshape(shape)?))
}

fn tensor_in(file: &Path) -> Result<Tensor> {
    let proto = TensorProto::decode(read_whole(file, MAX_BYTES)?.as_slice()).context("the file is not a tensor")?;
    tensor::read(&proto, None)
}

/// Errors if an output differs from the expected one.
fn compare(names: &[String], wanted: &[Option<Tensor>], found: impl Fn(&str) -> Result<Option<Tensor>>) -> Result<()> {
    for (name, wanted) in names.iter().zip(wanted) {
        let Some(wanted) = wanted.as_ref().filter(|_| !name.is_empty()) else { continue };
        let Some(found) = found(name)? else { bail!("the output \"{name}\" is missing") };
        ensure!(found.dims() == wanted.dims(), "got shape {:?}, expected {:?}", found.dims(), wanted.dims());
        let (relative, absolute) = TOLERANCE;
        for (a, b) in numbers(&found)?.into_iter().zip(numbers(wanted)?) {
            let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= absolute.max(1e-6) + relative * b.abs();
            ensure!(same, "got {a}, expected {b}");
        }
    }
    Ok(())
}
