//! Converts the operators of a program one by one: to constants if their inputs are constants, otherwise to nodes.

use super::labels::Names;
use super::lower::{Operator, lower};
use super::program::{Node, Program};
use super::{constants, evaluate};
use crate::model::import::{Constant, FREE_BATCH, Importer, Value};
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use std::collections::HashMap;

/// Adds nodes for all operators to `importer`, and the values that they compute to `values`.
pub fn add_nodes(program: &mut Program, importer: &mut Importer, values: &mut HashMap<String, Value>) -> Result<()> {
    for (name, tensor) in std::mem::take(&mut program.constants) {
        let constant = Constant { tensor, name: Some(name.clone()), per_batch: false };
        values.insert(name, Value::Constant(constant));
    }
    let names = Names::of(program);
    for node in &program.nodes {
        importer.label(names.label(program, node));
        let what = || format!("in node \"{}\" ({})", node.shown(), node.op);
        let found = convert(importer, node, values, program.opset).with_context(what)?;
        for (name, mut value) in node.outputs.iter().zip(found) {
            if names.leaves_module(node, name) {
                value = importer.settled(value).with_context(what)?;
            }
            if let Some(norm) = names.folded_norm(node) {
                value = importer.identity(value, norm)?;
            }
            values.insert(name.clone(), value);
        }
    }
    Ok(())
}

/// Converts one operator: evaluates it if all its inputs are constants, otherwise adds its nodes.
fn convert(importer: &mut Importer, node: &Node, values: &HashMap<String, Value>, opset: i64) -> Result<Vec<Value>> {
    let value = |name: &String| match name.is_empty() {
        true => Ok(None),
        false => match values.get(name) {
            Some(value) => Ok(Some(value.clone())),
            None => bail!("the input \"{}\" has not been computed", words::name(name)),
        },
    };
    let inputs = node.inputs.iter().map(value).collect::<Result<Vec<_>>>()?;
    if node.is_shape() {
        let shape: Vec<i64> =
            importer.shape(&inputs[0].clone().context("no input")?).iter().map(|&n| n as i64).collect();
        let tensor = match node.op.as_str() {
            "Size" => Tensor::new(shape.iter().product::<i64>(), &Device::Cpu)?,
            _ => Tensor::new(evaluate::part_of_shape(&shape, &node.attributes), &Device::Cpu)?,
        };
        return Ok(vec![Value::Constant(Constant::of(tensor))]);
    }
    if inputs.iter().flatten().all(|v| matches!(v, Value::Constant(_))) {
        return known(importer.batch(), node, &inputs, opset)?.context("not supported for constants");
    }
    let lower = lower(&node.op).context("not supported for values that depend on the picture")?;
    lower(importer, Operator { node, inputs, opset })
}

/// Evaluates an operator whose inputs are all constants. Sizes that depend on the batch size are treated as 1, and the result is shared by
/// all pictures in the batch.
fn known(batch: usize, node: &Node, inputs: &[Option<Value>], opset: i64) -> Result<Option<Vec<Value>>> {
    let mut per_batch = false;
    let mut name = None;
    let mut tensors = vec![];
    for input in inputs {
        tensors.push(match input {
            Some(Value::Constant(c)) => {
                per_batch |= c.per_batch;
                Some(c.tensor.clone())
            }
            _ => None,
        });
    }
    let keeps_name =
        ["Identity", "Cast", "CastLike", "Reshape", "Unsqueeze", "Squeeze", "Expand"].contains(&node.op.as_str());
    if let Some(Some(Value::Constant(c))) = inputs.first().filter(|_| keeps_name) {
        name = c.name.clone();
    }
    // The target shapes of these operators may start with the batch size.
    let target = match node.op.as_str() {
        "ConstantOfShape" => Some(0),
        "Expand" | "Reshape" | "Tile" => Some(1),
        _ => None,
    };
    if let Some(shape) = target.and_then(|i| tensors.get_mut(i)).and_then(Option::as_mut) {
        let mut sizes = evaluate::integers(shape)?;
        let first = sizes.first().is_some_and(|&n| batch == FREE_BATCH && n == FREE_BATCH as i64);
        ensure!(
            batch != FREE_BATCH || sizes.iter().skip(usize::from(first)).all(|&n| n < FREE_BATCH as i64),
            "a constant whose shape contains the batch size is not supported"
        );
        if first {
            sizes[0] = 1;
            per_batch = true;
            *shape = Tensor::new(sizes, &Device::Cpu)?;
        }
    }
    let found = constants::compute(node, &tensors, opset)?;
    let value = |tensor: Tensor| {
        let per_batch = per_batch && tensor.dims().first() == Some(&1);
        Value::Constant(Constant { tensor, name: name.clone(), per_batch })
    };
    Ok(found.map(|all| all.into_iter().map(value).collect()))
}
