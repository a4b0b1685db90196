//! Builds a network from a program.

use super::convert::add_nodes;
use super::lower::lower;
use super::program::Program;
use super::{patterns, preprocessing, strided};
use crate::graph::Graph;
use crate::model::import::{FREE_BATCH, Importer, Value};
use crate::panics::decoding;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// A network read from an exported file.
pub struct Network {
    /// The network, with its weights.
    pub graph: Graph,
    /// The batch size that the file was exported for; `None` if it is dynamic.
    pub batch: Option<usize>,
    /// Name of the program output that the network computes.
    pub output: String,
    /// Names of all outputs.
    pub outputs: Vec<String>,
    /// If the network normalizes pictures itself, the standard deviation by which pictures in `[0, 1]` are divided beforehand: 1,
    /// or 1/255 if the network expects values in 0–255.
    pub scale: Option<f64>,
    /// The metadata of the file.
    pub metadata: BTreeMap<String, String>,
}

/// Options for reading a file.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The name of the output; `None` selects the first one.
    pub output: Option<String>,
    /// Height and width of the input, if they are dynamic in the file.
    pub size: Option<[usize; 2]>,
}

/// Reads a network from the bytes of an ONNX file. `folder` holds files with external data.
///
/// Errors if the file is damaged or contains unsupported operators.
pub fn read(bytes: Vec<u8>, folder: Option<&Path>, options: &ReadOptions) -> Result<Network> {
    decoding("ONNX", || build(Program::decode(bytes, folder)?, options))
}

/// Builds a network from a program.
pub fn build(mut program: Program, options: &ReadOptions) -> Result<Network> {
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
        bail!("only networks with one input are supported; this one has {}: {}", names.len(), names.join(", "));
    };
    let (picture, batch) = picture(&input.shape, options.size)?;
    let mut importer = Importer::new(&picture, batch.unwrap_or(FREE_BATCH));
    let name = input.name.clone();
    patterns::fold(&mut program);
    let scale = preprocessing::built_in(&program, &name);
    let mut values: HashMap<String, Value> = HashMap::from([(name, importer.input())]);
    strided::rewrite(&mut program);
    patterns::put_together(&mut program)?;
    check_supported(&program)?;
    add_nodes(&mut program, &mut importer, &mut values)?;
    let end = values
        .remove(&output)
        .with_context(|| format!("no operator computes the output \"{}\"", words::name(&output)))?;
    let (graph, weights) = importer.finish(end)?;
    Ok(Network { graph: graph.with_weights(weights)?, batch, output, outputs, metadata: program.metadata, scale })
}

/// The shape `[C, H, W]` of input pictures, and the batch size, which is `None` if it is dynamic.
fn picture(shape: &[Option<usize>], size: Option<[usize; 2]>) -> Result<(Vec<usize>, Option<usize>)> {
    let [batch, rest @ ..] = shape else { bail!("the input has no shape") };
    let default = size.unwrap_or([224, 224]);
    let picture = match rest {
        [c, h, w] => {
            vec![
                c.context("the number of channels of the input is unknown")?,
                h.unwrap_or(default[0]),
                w.unwrap_or(default[1]),
            ]
        }
        other => {
            let sizes = other.iter().copied().collect::<Option<Vec<_>>>();
            sizes.context("the input is not a picture, and its shape is unknown")?
        }
    };
    ensure!(!picture.is_empty(), "the input has no dimension other than the batch dimension");
    crate::tensor::elements(&picture)?;
    Ok((picture, *batch))
}

/// Errors if operators that depend on the picture are not supported.
fn check_supported(program: &Program) -> Result<()> {
    let mut moving: HashSet<&str> = program.inputs.iter().map(|i| i.name.as_str()).collect();
    let (mut all, mut unknown) = (0, BTreeMap::<String, Vec<String>>::new());
    for node in &program.nodes {
        let depends = node.inputs.iter().any(|name| moving.contains(name.as_str()));
        if !depends || node.is_shape() {
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
        "{} of {all} operators are not supported: {}; the other {}% of the network is supported; for a PyTorch model, export \
         with torch.onnx.export(model.eval(), …) without custom operators",
        missing,
        list.join(", "),
        (all - missing) * 100 / all.max(1)
    )
}
