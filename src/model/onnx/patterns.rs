//! Recomposes layers that exporters decompose, so that each is one node.

use super::constants::compute;
use super::evaluate::evaluate;
use super::program::{Attributes, Node, Program};
use crate::graph::op::{Attribute, Family, Inputs, OpSpec, SPECS};
use crate::tensor::numbers;
use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use std::collections::{HashMap, HashSet};

/// Computes the operators that depend only on constants.
pub fn fold(program: &mut Program) {
    let mut rest = vec![];
    for node in std::mem::take(&mut program.nodes) {
        let known = node.inputs.iter().all(|name| name.is_empty() || program.constants.contains_key(name));
        // Folding constants that only repeat a value would waste memory.
        let grows = ["Expand", "ConstantOfShape", "Tile"].contains(&node.op.as_str());
        if known && !grows && node.op != "Shape" {
            let inputs: Vec<_> = node.inputs.iter().map(|name| program.constants.get(name).cloned()).collect();
            // An operator that fails here fails again when it is converted, where the error includes its name.
            if let Ok(Some(found)) = compute(&node, &inputs, program.opset) {
                let outputs = node.outputs.iter().cloned().zip(found);
                program.constants.extend(outputs.filter(|(name, _)| !name.is_empty()));
                continue;
            }
        }
        rest.push(node);
    }
    program.nodes = rest;
}

/// Replaces groups of operators with the layers that they compute.
pub fn put_together(program: &mut Program) -> Result<()> {
    sequences(program);
    activations(program)?;
    layer_norms(program);
    group_norms(program);
    biases(program);
    Ok(())
}

/// Rewrites a `SplitToSequence` whose items are read one by one as a plain `Split`.
fn sequences(program: &mut Program) {
    let items = |program: &Program, sequence: &str| -> Option<Vec<(usize, usize)>> {
        let readers =
            program.nodes.iter().enumerate().filter(|(_, node)| node.inputs.iter().any(|name| name == sequence));
        let item = |(at, node): (usize, &Node)| {
            let index = scalar(program, node.inputs.get(1).filter(|_| node.op == "SequenceAt")?)?;
            (index >= 0.0).then_some((at, index as usize))
        };
        readers.map(item).collect()
    };
    for at in 0..program.nodes.len() {
        let node = &program.nodes[at];
        if node.op != "SplitToSequence" || node.attributes.int("keepdims", 1) == 0 {
            continue;
        }
        let Some(items) = items(program, &node.outputs[0]) else { continue };
        let Some(sizes) = node.inputs.get(1).and_then(|name| program.constants.get(name)) else { continue };
        // One size for all parts, or a list of sizes.
        let most = items.iter().map(|item| item.1 + 1).max().unwrap_or(0);
        let count = if sizes.rank() == 0 { most } else { sizes.elem_count() };
        if most > count {
            continue;
        }
        if let Some(size) = scalar(program, &node.inputs[1]).filter(|_| sizes.rank() == 0) {
            let Ok(sizes) = Tensor::new(vec![size as i64; count], &Device::Cpu) else { continue };
            let name = format!("{} sizes", node.outputs[0]);
            program.nodes[at].inputs[1].clone_from(&name);
            program.constants.insert(name, sizes);
        }
        let mut outputs = vec![String::new(); count];
        for (reader, item) in items {
            let name = std::mem::take(&mut program.nodes[reader].outputs[0]);
            program.nodes[reader].op.clear();
            // The same item may be read twice.
            if outputs[item].is_empty() {
                outputs[item] = name;
            } else {
                let first = outputs[item].clone();
                let all = program.nodes.iter_mut().flat_map(|node| &mut node.inputs);
                all.filter(|input| **input == name).for_each(|input| input.clone_from(&first));
            }
        }
        let node = &mut program.nodes[at];
        (node.op, node.outputs) = ("Split".into(), outputs);
    }
    sweep(program);
}

/// An index of a program's values.
struct Index {
    /// The operator that computes each value.
    producer: HashMap<String, usize>,
    /// Number of operators and outputs that read each value.
    uses: HashMap<String, usize>,
    /// The values that depend on the picture.
    moving: HashSet<String>,
}

impl Index {
    fn of(program: &Program) -> Self {
        let nodes = program.nodes.iter().enumerate();
        let producer = nodes.flat_map(|(at, node)| node.outputs.iter().map(move |name| (name.clone(), at))).collect();
        let uses = program.uses().into_iter().map(|(name, count)| (name.to_string(), count)).collect();
        let mut moving: HashSet<String> = program.inputs.iter().map(|input| input.name.clone()).collect();
        for node in program.nodes.iter().filter(|node| node.op != "Shape" && node.op != "Size") {
            if node.inputs.iter().any(|name| moving.contains(name)) {
                moving.extend(node.outputs.iter().cloned());
            }
        }
        Self { producer, uses, moving }
    }

    /// The operator that computes a value, if the value is read only once.
    fn inner<'a>(&self, program: &'a Program, name: &str) -> Option<(usize, &'a Node)> {
        let at = *self.producer.get(name)?;
        (self.uses.get(name) == Some(&1)).then(|| (at, &program.nodes[at]))
    }
}

/// The value of a scalar constant.
fn scalar(program: &Program, name: &str) -> Option<f64> {
    let t = program.constants.get(name).filter(|t| t.elem_count() == 1)?;
    numbers(t).ok()?.first().copied()
}

/// Removes operators and replaces the one at `root` with `new`.
fn replace(program: &mut Program, gone: &[usize], root: usize, new: Node) {
    program.nodes[root] = new;
    gone.iter().filter(|&&at| at != root).for_each(|&at| program.nodes[at].op.clear());
}

/// Removes the operators that were replaced.
fn sweep(program: &mut Program) {
    program.nodes.retain(|node| !node.op.is_empty());
}

/// Elementwise operators.
const ELEMENTWISE: [&str; 20] = [
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Neg",
    "Erf",
    "Tanh",
    "Sigmoid",
    "Exp",
    "Log",
    "Sqrt",
    "Relu",
    "Clip",
    "Abs",
    "Max",
    "HardSigmoid",
    "Softplus",
    "Min",
    "Reciprocal",
];

/// The points at which activations are compared: closely spaced around 0 and extending past the breakpoints of the piecewise ones.
fn points() -> Tensor {
    let values: Vec<f64> = (-60..=60).map(|i| f64::from(i) * 0.15 + 0.013).collect();
    Tensor::from_vec(values, (1, 121), &Device::Cpu).unwrap_or_else(|_| unreachable!("121 values"))
}

/// An activation with its arguments, and its values at [`points`].
type KnownActivation = (&'static OpSpec, Vec<(&'static str, Attribute)>, Vec<f64>);

/// The known activations; those with the argument `approximate` are listed in both forms.
fn known_activations() -> Result<Vec<KnownActivation>> {
    let x = points();
    let mut all = vec![];
    for spec in SPECS.iter().filter(|spec| spec.family == Family::Activation && spec.inputs == Inputs::One) {
        let tanh = spec.arguments.iter().any(|a| a.name == "approximate");
        let variants = [Some(vec![]), tanh.then(|| vec![("approximate", Attribute::Text("tanh".into()))])];
        for arguments in variants.into_iter().flatten() {
            let given = arguments.iter().map(|(name, value)| (name.to_string(), value.clone()));
            let op = spec.build(given, &[&[1, 121]])?;
            all.push((*spec, arguments, numbers(&op.forward(&[&x], &[])?)?));
        }
    }
    Ok(all)
}

/// Finds groups of elementwise operators that compute an activation by comparing their values with those of known activations, so that
/// `x · σ(x)` is recognized as SiLU in any form.
fn activations(program: &mut Program) -> Result<()> {
    let known = known_activations()?;
    let index = Index::of(program);
    for root in (0..program.nodes.len()).rev() {
        let node = &program.nodes[root];
        let depends = node.outputs.first().is_some_and(|name| index.moving.contains(name));
        if !depends || !ELEMENTWISE.contains(&node.op.as_str()) {
            continue;
        }
        // The largest group that ends at `root` and reads one value.
        let Some((group, input)) = group(program, &index, root) else { continue };
        if group.len() < 2 && !["Clip", "HardSigmoid"].contains(&node.op.as_str()) {
            continue;
        }
        let Some(values) = computed(program, &group, &input)? else { continue };
        let same = |(_, _, expected): &&KnownActivation| {
            values.iter().zip(expected).all(|(a, b): (&f64, &f64)| (a - b).abs() <= 2e-6 * (1.0 + b.abs()))
        };
        let Some((spec, arguments, _)) = known.iter().find(same) else { continue };
        let new = Node {
            op: format!("activation.{}", spec.kind),
            attributes: Attributes::of(arguments),
            inputs: vec![input],
            ..program.nodes[root].clone()
        };
        replace(program, &group, root, new);
    }
    sweep(program);
    Ok(())
}

/// The group of operators that compute the value of `root` from a single non-constant value, and the name of that value.
fn group(program: &Program, index: &Index, root: usize) -> Option<(Vec<usize>, String)> {
    const MOST: usize = 12;
    let mut group = vec![root];
    let mut open: Vec<String> = vec![];
    let read = |at: usize, open: &mut Vec<String>| {
        let moving =
            program.nodes[at].inputs.iter().filter(|name| !name.is_empty() && !program.constants.contains_key(*name));
        open.extend(moving.cloned());
    };
    // Constants must be scalars.
    let plain = |at: usize| {
        let constants = program.nodes[at].inputs.iter().filter(|name| program.constants.contains_key(*name));
        constants.into_iter().all(|name| scalar(program, name).is_some())
    };
    if !plain(root) {
        return None;
    }
    read(root, &mut open);
    let mut best = None;
    loop {
        open.sort_unstable();
        open.dedup();
        if let [input] = &open[..] {
            best = Some((group.clone(), input.clone()));
        }
        if group.len() == MOST {
            break;
        }
        // Add the last operator whose consumers are all in the group.
        let inside = |name: &str| {
            let reads = |at: &usize| program.nodes[*at].inputs.iter().filter(|input| *input == name).count();
            group.iter().map(reads).sum::<usize>() == index.uses.get(name).copied().unwrap_or(0)
        };
        let next = open.iter().filter(|name| inside(name)).filter_map(|name| index.producer.get(name)).max().copied();
        let fits = |at: &usize| {
            let node = &program.nodes[*at];
            ELEMENTWISE.contains(&node.op.as_str()) && node.outputs.len() == 1 && plain(*at)
        };
        let Some(at) = next.filter(fits) else { break };
        open.retain(|name| *name != program.nodes[at].outputs[0]);
        group.push(at);
        read(at, &mut open);
    }
    best
}

/// The values that a group of operators computes at [`points`].
fn computed(program: &Program, group: &[usize], input: &str) -> Result<Option<Vec<f64>>> {
    let mut order = group.to_vec();
    order.sort_unstable();
    let mut values = HashMap::from([(input, points())]);
    let mut last = None;
    for at in order {
        let node = &program.nodes[at];
        let read = |name: &String| match values.get(name.as_str()) {
            Some(value) => Ok(Some(value.clone())),
            None => program.constants.get(name).map(|t| Ok(t.to_dtype(DType::F64)?.flatten_all()?)).transpose(),
        };
        let inputs = node.inputs.iter().map(read).collect::<Result<Vec<_>>>()?;
        let Some(found) = evaluate(&node.op, &node.attributes, &inputs, (program.opset, node.outputs.len()))? else {
            return Ok(None);
        };
        last = found.into_iter().next();
        if let Some(value) = &last {
            values.insert(&node.outputs[0], value.clone());
        }
    }
    last.map(|t| numbers(&t)).transpose()
}

/// Recomposes LayerNorm from mean, difference, variance and quotient.
fn layer_norms(program: &mut Program) {
    let index = Index::of(program);
    for root in 0..program.nodes.len() {
        let Some((group, new)) = layer_norm(program, &index, root) else { continue };
        replace(program, &group, root, new);
    }
    sweep(program);
}

fn layer_norm(program: &Program, index: &Index, root: usize) -> Option<(Vec<usize>, Node)> {
    let add = program.nodes.get(root).filter(|node| node.op == "Add")?;
    let (beta, scaled) = constant_and(program, add)?;
    let (mul_at, mul) = index.inner(program, scaled).filter(|(_, node)| node.op == "Mul")?;
    let (gamma, quotient) = constant_and(program, mul)?;
    let (div_at, div) = index.inner(program, quotient).filter(|(_, node)| node.op == "Div")?;
    let (root_at, deviation) = index.inner(program, &div.inputs[1]).filter(|(_, node)| node.op == "Sqrt")?;
    let (eps_at, shifted) = index.inner(program, &deviation.inputs[0]).filter(|(_, node)| node.op == "Add")?;
    let (epsilon, variance) = constant_and(program, shifted)?;
    let (mean_at, variance) = index.inner(program, variance).filter(|(_, node)| node.op == "ReduceMean")?;
    let (square_at, square) = index.inner(program, &variance.inputs[0])?;
    let squares = match square.op.as_str() {
        "Pow" => scalar(program, &square.inputs[1]) == Some(2.0),
        "Mul" => square.inputs[0] == square.inputs[1],
        _ => false,
    };
    let difference = &square.inputs[0];
    let sub_at = *index.producer.get(difference)?;
    let sub = program.nodes.get(sub_at).filter(|node| node.op == "Sub")?;
    // Some exporters compute the difference twice.
    let other = &div.inputs[0];
    let twin = index.producer.get(other).copied()?;
    let same = twin == sub_at || (program.nodes[twin].op == "Sub" && program.nodes[twin].inputs == sub.inputs);
    let average_at = *index.producer.get(&sub.inputs[1])?;
    let average = program.nodes.get(average_at).filter(|node| node.op == "ReduceMean")?;
    let axis = |node: &Node| {
        let given = node.inputs.get(1).and_then(|name| program.constants.get(name)).and_then(|t| numbers(t).ok());
        let axes =
            given.map(|axes| axes.iter().map(|&a| a as i64).collect()).or_else(|| node.attributes.ints("axes"))?;
        (axes.len() == 1).then(|| axes[0])
    };
    let last = axis(average)?;
    let fits = squares && same && average.inputs[0] == sub.inputs[0] && axis(variance) == Some(last);
    let flat = |name: &str| program.constants.get(name).is_some_and(|t| t.rank() == 1);
    if !fits || !flat(gamma) || !flat(beta) || scalar(program, epsilon).is_none() {
        return None;
    }
    let arguments = [("axis", Attribute::Int(last)), ("epsilon", Attribute::Float(scalar(program, epsilon)?))];
    let new = Node {
        op: "LayerNormalization".into(),
        attributes: Attributes::of(&arguments),
        inputs: vec![sub.inputs[0].clone(), gamma.into(), beta.into()],
        ..add.clone()
    };
    let group = vec![root, mul_at, div_at, root_at, eps_at, mean_at, square_at, sub_at, twin, average_at];
    // No other operator may read the values that are removed.
    let inner = group.iter().filter(|&&at| at != root);
    let readers = |name: &str| {
        let reads = |at: &usize| program.nodes[*at].inputs.iter().filter(|input| *input == name).count();
        let mut all = group.clone();
        all.sort_unstable();
        all.dedup();
        all.iter().map(reads).sum::<usize>()
    };
    let closed = inner.into_iter().all(|&at| {
        let name = &program.nodes[at].outputs[0];
        index.uses.get(name).copied().unwrap_or(0) == readers(name)
    });
    closed.then_some((group, new))
}

/// The constant and the other input of an operator with two inputs.
fn constant_and<'a>(program: &Program, node: &'a Node) -> Option<(&'a str, &'a str)> {
    let [a, b] = &node.inputs[..] else { return None };
    match (program.constants.contains_key(a), program.constants.contains_key(b)) {
        (true, false) => Some((a, b)),
        (false, true) => Some((b, a)),
        _ => None,
    }
}

/// Recomposes GroupNorm from an InstanceNormalization of reshaped feature maps.
fn group_norms(program: &mut Program) {
    let index = Index::of(program);
    for root in 0..program.nodes.len() {
        let Some((group, new, constants)) = group_norm(program, &index, root) else { continue };
        program.constants.extend(constants);
        replace(program, &group, root, new);
    }
    sweep(program);
}

type GroupNorm = (Vec<usize>, Node, Vec<(String, Tensor)>);

fn group_norm(program: &Program, index: &Index, root: usize) -> Option<GroupNorm> {
    let add = program.nodes.get(root).filter(|node| node.op == "Add")?;
    let (beta, scaled) = constant_and(program, add)?;
    let (mul_at, mul) = index.inner(program, scaled).filter(|(_, node)| node.op == "Mul")?;
    let (gamma, back) = constant_and(program, mul)?;
    let (back_at, back) = index.inner(program, back).filter(|(_, node)| node.op == "Reshape")?;
    let (norm_at, norm) =
        index.inner(program, &back.inputs[0]).filter(|(_, node)| node.op == "InstanceNormalization")?;
    let (split_at, split) = index.inner(program, &norm.inputs[0]).filter(|(_, node)| node.op == "Reshape")?;
    let all = |name: &str, value: f64| {
        let t = program.constants.get(name)?;
        numbers(t).ok()?.iter().all(|&v| v == value).then(|| t.elem_count())
    };
    let groups = all(&norm.inputs[1], 1.0).filter(|_| all(&norm.inputs[2], 0.0).is_some())?;
    let shape = numbers(program.constants.get(&split.inputs[1])?).ok()?;
    if shape.len() != 3 || shape[1] != groups as f64 || shape[2] != -1.0 {
        return None;
    }
    let flat = |name: &str| program.constants.get(name)?.flatten_all().ok();
    let (weight, bias) = (flat(gamma)?, flat(beta)?);
    let epsilon = norm.attributes.float("epsilon", 1e-5);
    let arguments = [("num_groups", Attribute::Int(groups as i64)), ("epsilon", Attribute::Float(epsilon))];
    let names = [gamma, beta].map(|name| {
        if name.ends_with(".weight") || name.ends_with(".bias") {
            name.to_string()
        } else {
            format!("{name} of a group norm")
        }
    });
    let new = Node {
        op: "GroupNormalization".into(),
        attributes: Attributes::of(&arguments),
        inputs: vec![split.inputs[0].clone(), names[0].clone(), names[1].clone()],
        module: if norm.module.is_empty() { add.module.clone() } else { norm.module.clone() },
        ..add.clone()
    };
    let constants = names.into_iter().zip([weight, bias]).collect();
    Some((vec![root, mul_at, back_at, norm_at, split_at], new, constants))
}

/// Merges a product with a weight matrix and the addition of a bias into one linear layer.
fn biases(program: &mut Program) {
    let index = Index::of(program);
    for root in 0..program.nodes.len() {
        let add = &program.nodes[root];
        let Some((bias, product)) = constant_and(program, add).filter(|_| add.op == "Add") else { continue };
        let Some((at, node)) = index.inner(program, product).filter(|(_, node)| node.op == "MatMul") else { continue };
        let matrix = program.constants.get(&node.inputs[1]).filter(|w| w.rank() == 2 && !is_whole(w));
        let fits =
            |w: &Tensor| program.constants.get(bias).is_some_and(|b| b.rank() == 1 && b.dims()[0] == w.dims()[1]);
        if !matrix.is_some_and(fits) {
            continue;
        }
        let new = Node {
            op: "Linear".into(),
            inputs: vec![node.inputs[0].clone(), node.inputs[1].clone(), bias.into()],
            outputs: add.outputs.clone(),
            ..node.clone()
        };
        replace(program, &[at], root, new);
    }
    sweep(program);
}

/// Whether a tensor has an integer or boolean type, as shapes do.
fn is_whole(t: &Tensor) -> bool {
    matches!(t.dtype(), DType::I64 | DType::U8)
}
