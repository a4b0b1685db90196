//! ONNX files as graphs.
//!
//! A file is decoded ([`program`]), what does not depend on the picture is computed ([`evaluate`]), layers that exporters take apart
//! are put together again ([`patterns`]), and each operator left becomes nodes ([`lower`]) named by its PyTorch module.

#[allow(missing_docs)]
mod proto;
pub mod conformance;
mod tensor;
pub(in crate::model) mod program;
mod evaluate;
mod patterns;
mod preprocessing;
mod resample;
mod lower;

use crate::graph::Graph;
use crate::model::import::{Constant, FREE_BATCH, Importer, Value, module_of};
use crate::panics::decoding;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use lower::{Operator, lower};
use program::{Node, Program};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// A network read from a file with its graph.
pub struct Network {
    /// The network, with its weights.
    pub graph: Graph,
    /// The batch size that the file was exported for; `None` if it is free.
    pub batch: Option<usize>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// If the network normalizes pictures itself, the standard deviation by which pictures in `[0, 1]` are divided before: 1, or
    /// 1/255 if it takes values from 0 to 255.
    pub scale: Option<f64>,
    /// The metadata of the file.
    pub metadata: BTreeMap<String, String>,
}

/// What to read of a file.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The name of the output; the first one if not given.
    pub output: Option<String>,
    /// Height and width of pictures where the file leaves them open.
    pub size: Option<[usize; 2]>,
}

/// Reads a network from the bytes of an ONNX file. `folder` holds files with external data.
///
/// Errors if the file is damaged or contains operators that are not supported; all of them are named.
pub fn read(bytes: Vec<u8>, folder: Option<&Path>, options: &ReadOptions) -> Result<Network> {
    decoding("ONNX", || build(Program::decode(bytes, folder)?, options))
}

/// Builds the network of a program.
pub(in crate::model) fn build(mut program: Program, options: &ReadOptions) -> Result<Network> {
    let output = match &options.output {
        None => program.outputs[0].clone(),
        Some(name) => {
            let known = program.outputs.iter().map(|o| words::name(o)).collect::<Vec<_>>().join(", ");
            ensure!(program.outputs.contains(name), "no output \"{}\"; expected one of {known}", words::name(name));
            name.clone()
        }
    };
    let outputs = std::mem::replace(&mut program.outputs, vec![output.clone()]);
    program.prune();
    let [input] = &program.inputs[..] else {
        let names: Vec<_> = program.inputs.iter().map(|i| words::name(&i.name)).collect();
        bail!("a network has one input, this one has {}: {}", names.len(), names.join(", "));
    };
    let (picture, batch) = picture(&input.shape, options.size)?;
    let mut importer = Importer::new(&picture, batch.unwrap_or(FREE_BATCH));
    let name = input.name.clone();
    patterns::fold(&mut program)?;
    let scale = preprocessing::built_in(&program, &name);
    let mut values: HashMap<String, Value> = HashMap::from([(name, importer.input())]);
    patterns::put_together(&mut program)?;
    check_supported(&program)?;
    add_nodes(&mut program, &mut importer, &mut values)?;
    let end =
        values.remove(&output).with_context(|| format!("the output \"{}\" is not computed", words::name(&output)))?;
    let (graph, weights) = importer.finish(end)?;
    Ok(Network { graph: graph.with_weights(weights)?, batch, outputs, metadata: program.metadata, scale })
}

/// Adds the nodes of all operators, and the values that they compute.
fn add_nodes(program: &mut Program, importer: &mut Importer, values: &mut HashMap<String, Value>) -> Result<()> {
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

/// The shape `[C, H, W]` of pictures and the batch size, if it is fixed.
fn picture(shape: &[Option<usize>], size: Option<[usize; 2]>) -> Result<(Vec<usize>, Option<usize>)> {
    let [batch, rest @ ..] = shape else { bail!("the input has no shape") };
    let default = size.unwrap_or([224, 224]);
    let picture = match rest {
        [c, h, w] => {
            vec![c.context("the number of channels is not given")?, h.unwrap_or(default[0]), w.unwrap_or(default[1])]
        }
        other => {
            let sizes = other.iter().copied().collect::<Option<Vec<_>>>();
            sizes.context("the input is no picture, and its sizes are not given")?
        }
    };
    ensure!(!picture.is_empty(), "the input is one number for each example, not a picture");
    crate::tensor::elements(&picture)?;
    Ok((picture, *batch))
}

/// Converts one operator: computes it if all its inputs are known, else adds its nodes.
fn convert(importer: &mut Importer, node: &Node, values: &HashMap<String, Value>, opset: i64) -> Result<Vec<Value>> {
    let value = |name: &String| match name.is_empty() {
        true => Ok(None),
        false => match values.get(name) {
            Some(value) => Ok(Some(value.clone())),
            None => bail!("it reads \"{}\", which is not computed before", words::name(name)),
        },
    };
    let inputs = node.inputs.iter().map(value).collect::<Result<Vec<_>>>()?;
    if is_shape(&node.op) {
        let shape: Vec<i64> =
            importer.shape(&inputs[0].clone().context("no input")?).iter().map(|&n| n as i64).collect();
        let tensor = match node.op.as_str() {
            "Size" => Tensor::new(shape.iter().product::<i64>(), &Device::Cpu)?,
            _ => Tensor::new(evaluate::part_of_shape(&shape, &node.attributes), &Device::Cpu)?,
        };
        return Ok(vec![Value::Constant(Constant::of(tensor))]);
    }
    if inputs.iter().flatten().all(|v| matches!(v, Value::Constant(_))) {
        return known(importer.batch(), node, &inputs, opset)?.context("it is not supported for constants");
    }
    let lower = lower(&node.op).context("it is not supported for values that depend on the picture")?;
    lower(importer, Operator { node, inputs, opset })
}

/// The outputs of an operator whose inputs are all known. A size that depends on the batch counts as 1, and the value is then the
/// same for each picture of the batch.
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
    // The target shapes of these operators may start with the batch.
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
            "a constant of a shape that contains the batch"
        );
        if first {
            sizes[0] = 1;
            per_batch = true;
            *shape = Tensor::new(sizes, &Device::Cpu)?;
        }
    }
    let found = match node.op.as_str() {
        "Resize" | "Upsample" => Some(vec![resized(node, &tensors, opset)?]),
        _ => evaluate::evaluate(&node.op, &node.attributes, &tensors, (opset, node.outputs.len()))?,
    };
    let value = |tensor: Tensor| {
        let per_batch = per_batch && tensor.dims().first() == Some(&1);
        Value::Constant(Constant { tensor, name: name.clone(), per_batch })
    };
    Ok(found.map(|all| all.into_iter().map(value).collect()))
}

/// A constant that is resized, such as position embeddings for another size of pictures.
fn resized(node: &Node, inputs: &[Option<Tensor>], opset: i64) -> Result<Tensor> {
    let given = |i: usize| inputs.get(i).and_then(Option::as_ref);
    let x = given(0).context("no input")?;
    resample::Resampling::of(node, [given(1), given(2), given(3)], x.dims(), opset)?.apply(x)
}

/// Errors if operators that depend on the picture are not supported, and names all of them.
fn check_supported(program: &Program) -> Result<()> {
    let mut moving: HashSet<&str> = program.inputs.iter().map(|i| i.name.as_str()).collect();
    let (mut all, mut unknown) = (0, BTreeMap::<String, Vec<String>>::new());
    for node in &program.nodes {
        let depends = node.inputs.iter().any(|name| moving.contains(name.as_str()));
        if !depends || is_shape(&node.op) {
            continue;
        }
        moving.extend(node.outputs.iter().map(String::as_str));
        all += 1;
        let variant = node.unsupported().map(|variant| format!("{} with {variant}", node.op));
        if let Some(name) = variant.or_else(|| lower(&node.op).is_none().then(|| node.op.clone())) {
            unknown.entry(name).or_default().push(node.shown());
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let missing: usize = unknown.values().map(Vec::len).sum();
    let named = |(op, nodes): (&String, &Vec<String>)| match nodes.len() {
        0..=3 => format!("{} ({})", words::name(op), nodes.join(", ")),
        n => format!("{} ({}, … {n} nodes)", words::name(op), nodes[..2].join(", ")),
    };
    let list: Vec<_> = unknown.iter().map(named).collect();
    bail!(
        "{} of {all} operators are not supported: {}; the other {} % of the network are understood; for a PyTorch model, export \
         with torch.onnx.export(model.eval(), …) without custom operators",
        missing,
        list.join(", "),
        (all - missing) * 100 / all.max(1)
    )
}

/// The modules that operators come from.
struct Names {
    /// Modules that contain other modules.
    parents: HashSet<String>,
    /// Modules that have operators.
    modules: HashSet<String>,
    /// For each value, the modules of the operators that read it.
    readers: HashMap<String, Vec<String>>,
}

impl Names {
    fn of(program: &Program) -> Self {
        let modules = program.nodes.iter().map(|node| program.label(node));
        let parents = modules.flat_map(|module| {
            let ends: Vec<_> = module.match_indices('.').map(|(at, _)| module[..at].to_string()).collect();
            ends
        });
        let parents = parents.collect();
        let modules = program.nodes.iter().map(|node| program.label(node)).collect();
        let mut readers: HashMap<_, Vec<_>> = HashMap::new();
        for node in &program.nodes {
            for input in &node.inputs {
                readers.entry(input.clone()).or_default().push(node.module.clone());
            }
        }
        Self { parents, modules, readers }
    }

    /// Whether a value is what the module of its operator returns: operators outside the module read it.
    fn leaves_module(&self, node: &Node, value: &str) -> bool {
        let inside = |reader: &String| {
            reader.strip_prefix(&node.module).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        !node.module.is_empty() && self.readers.get(value).is_some_and(|readers| !readers.iter().all(inside))
    }

    /// The batch norm that an exporter folded into a convolution: the convolution has its module, but another one's weight.
    fn folded_norm<'a>(&self, node: &'a Node) -> Option<&'a str> {
        let weight = node.inputs.get(1).and_then(|name| module_of(name)).filter(|_| node.op == "Conv")?;
        let other = !node.module.is_empty() && node.module != weight && !self.parents.contains(&node.module);
        let norm = other && !weight.starts_with(&format!("{}.", node.module)) && !self.modules.contains(&node.module);
        norm.then_some(node.module.as_str())
    }

    /// The name of a node: its module if that has no modules inside, else the module and the operator.
    fn label(&self, program: &Program, node: &Node) -> String {
        let module = program.label(node);
        let op = node.op.trim_start_matches("activation.").to_lowercase();
        match module.as_str() {
            "" => op,
            module if self.parents.contains(module) => format!("{module}.{op}"),
            module => module.into(),
        }
    }
}

/// Whether an operator returns the shape of a value, which does not depend on the picture.
fn is_shape(op: &str) -> bool {
    op == "Shape" || op == "Size"
}

/// Whether a tensor holds numbers that are computed exactly, such as shapes.
fn is_whole(t: &Tensor) -> bool {
    matches!(t.dtype(), DType::I64 | DType::U8)
}
