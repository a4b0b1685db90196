//! `Einsum` as permutations and one matrix product.

use super::operator::{Lower, Operator};
use crate::model::import::{Constant, Importer, Value};
use anyhow::{Result, bail, ensure};
use std::collections::HashMap;

pub const TABLE: &[(&[&str], Lower)] = &[(&["Einsum"], einsum)];

/// An operand: a value and the `Einsum` label of each of its dimensions.
struct Operand {
    value: Value,
    labels: Vec<char>,
}

/// Supports one or two operands. Ellipses, and labels that occur twice in an operand, are not supported.
fn einsum(importer: &mut Importer, o: Operator) -> Result<Vec<Value>> {
    let equation: String = o.node.attributes.text("equation", "").split_whitespace().collect();
    ensure!(!equation.contains('.'), "the ellipsis in the equation \"{equation}\" is not supported");
    let (inputs, output) = match equation.split_once("->") {
        Some((inputs, output)) => (inputs, output.chars().collect()),
        None => (&*equation, implicit(&equation)),
    };
    let inputs: Vec<Vec<char>> = inputs.split(',').map(|labels| labels.chars().collect()).collect();
    let mut sizes = HashMap::new();
    let mut operands = vec![];
    for (i, labels) in inputs.into_iter().enumerate() {
        let value = o.value(i)?;
        let shape = importer.shape(&value);
        ensure!(
            shape.len() == labels.len(),
            "input {i} has {} dimensions, but {} labels in the equation \"{equation}\"",
            shape.len(),
            labels.len()
        );
        for (at, (&label, &size)) in labels.iter().zip(&shape).enumerate() {
            ensure!(!labels[..at].contains(&label), "repeated labels in a term of \"{equation}\" are not supported");
            ensure!(
                *sizes.entry(label).or_insert(size) == size,
                "the sizes of the dimensions \"{label}\" in \"{equation}\" differ"
            );
        }
        operands.push(Operand { value, labels });
    }
    let mut operands = operands.into_iter();
    let result = match (operands.next(), operands.next(), operands.next()) {
        (Some(x), None, None) => summed(importer, x, &[], &output)?,
        (Some(x), Some(y), None) => {
            let (x_labels, y_labels) = (x.labels.clone(), y.labels.clone());
            let x = summed(importer, x, &y_labels, &output)?;
            let y = summed(importer, y, &x_labels, &output)?;
            product(importer, x, y, &output, &sizes)?
        }
        _ => bail!("\"{equation}\" has more than two operands, which is not supported"),
    };
    let order = output.iter().map(|label| result.labels.iter().position(|l| l == label)).collect::<Option<Vec<_>>>();
    let Some(order) = order.filter(|order| order.len() == result.labels.len()) else {
        bail!("\"{equation}\" has a label that occurs only in the output");
    };
    Ok(vec![permuted(result.value, &order)?])
}

/// The output labels of an equation without an arrow: those that occur exactly once, in alphabetical order.
fn implicit(equation: &str) -> Vec<char> {
    let mut labels: Vec<char> = equation.chars().filter(|c| *c != ',').collect();
    labels.sort_unstable();
    let once = |label: &&char| labels.iter().filter(|l| l == label).count() == 1;
    labels.iter().filter(once).copied().collect()
}

/// Sums an operand over the labels that occur neither in the other operand nor in the output.
fn summed(importer: &mut Importer, x: Operand, other: &[char], output: &[char]) -> Result<Operand> {
    let is_kept = |label: &char| other.contains(label) || output.contains(label);
    let gone: Vec<usize> = (0..x.labels.len()).filter(|&d| !is_kept(&x.labels[d])).collect();
    if gone.is_empty() {
        return Ok(x);
    }
    let value = importer.reduced("sum", x.value, &gone, false)?;
    Ok(Operand { value, labels: x.labels.into_iter().filter(|label| is_kept(label)).collect() })
}

/// Multiplies two operands and sums over the labels that are not in the output. The result has the labels of the output, possibly in a
/// different order.
fn product(
    importer: &mut Importer,
    x: Operand,
    y: Operand,
    output: &[char],
    sizes: &HashMap<char, usize>,
) -> Result<Operand> {
    let of = |labels: &[char], other: &[char], shared: bool, kept: bool| -> Vec<char> {
        labels.iter().copied().filter(|l| other.contains(l) == shared && output.contains(l) == kept).collect()
    };
    let batch = of(&x.labels, &y.labels, true, true);
    let contracted = of(&x.labels, &y.labels, true, false);
    let (left, right) = (of(&x.labels, &y.labels, false, true), of(&y.labels, &x.labels, false, true));
    let size = |labels: &[char]| labels.iter().map(|label| sizes[label]).collect::<Vec<_>>();
    let whole = |labels: &[char]| size(labels).iter().product::<usize>();
    let mut matrix = |operand: Operand, rows: &[char], columns: &[char]| -> Result<Value> {
        let order = [&batch[..], rows, columns].concat();
        let places =
            order.iter().filter_map(|label| operand.labels.iter().position(|l| l == label)).collect::<Vec<_>>();
        let value = permuted(operand.value, &places)?;
        reshaped(importer, value, &[&size(&batch)[..], &[whole(rows), whole(columns)]].concat())
    };
    let (a, b) = (matrix(x, &left, &contracted)?, matrix(y, &contracted, &right)?);
    let y = match b {
        // A matrix of weights.
        Value::Constant(weight) if batch.is_empty() => importer.linear(a, weight.tensor.t()?.contiguous()?, None)?,
        b => importer.matmul(a, b)?,
    };
    let labels = [&batch[..], &left, &right].concat();
    Ok(Operand { value: reshaped(importer, y, &size(&labels))?, labels })
}

fn permuted(x: Value, order: &[usize]) -> Result<Value> {
    Ok(match x {
        Value::Node(id, view) => Value::Node(id, view.permuted(order)),
        Value::Constant(c) => Value::Constant(Constant { tensor: c.tensor.permute(order)?.contiguous()?, ..c }),
    })
}

fn reshaped(importer: &mut Importer, x: Value, shape: &[usize]) -> Result<Value> {
    match x {
        Value::Constant(c) => Ok(Value::Constant(Constant { tensor: c.tensor.reshape(shape)?, ..c })),
        node => importer.reshaped(node, shape),
    }
}
