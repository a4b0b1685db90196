//! Functions that build networks in `models/` scripts. Each function appends a node; names and arguments follow PyTorch.
//!
//! `x.conv("conv1", 16, 5, #{ padding: 2 }).relu("relu1").max_pool("pool1", 2).flatten("flatten").linear("fc", 10)`

use super::options::{attribute, sizes};
use crate::graph::op::{self, Attribute, Inputs, Op, OpSpec, SPECS};
use crate::graph::{Builder, Graph, Node, NodeId};
use crate::model::free_sizes::{FreeSizes, is_picture};
use crate::model::tensor_shapes::TensorShapes;
use crate::script::report::raise;
use crate::sync::LockUnpoisoned;
use anyhow::{Context, Result, bail, ensure};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FuncRegistration, INT, ImmutableString, Map, Module, RhaiFunc};
use std::any::TypeId;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// The weights for which a network is built.
#[derive(Clone, Debug, Default)]
pub(crate) struct Purpose {
    /// The shapes of the tensors in the weight file; `None` to build the network as the script describes it.
    pub(crate) shapes: Option<Arc<TensorShapes>>,
    /// Sizes that replace those in the script.
    pub(crate) sizes: FreeSizes,
    /// Whether to stop at the first parameter that the weight file lacks.
    pub(crate) strict: bool,
}

/// The arguments of convolutions and linear layers that set the number of outputs.
const OUTPUTS: [&str; 2] = ["out_channels", "out_features"];

/// A network under construction.
#[derive(Debug)]
struct Construction {
    builder: Mutex<Builder>,
    purpose: Purpose,
    /// Number of parameters added so far that the weight file contains.
    found: AtomicUsize,
    /// Whether construction stopped at a parameter that the weight file lacks.
    stopped: AtomicBool,
}

/// A node of a network under construction.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    network: Arc<Construction>,
    id: NodeId,
}

impl Handle {
    /// Creates the input node of a new network for pictures of shape `(C, H, W)`, followed by a normalization unless `mean` is 0
    /// and `std` is 1. The network is built for the weights in `purpose`.
    ///
    /// Errors if a dimension is 0.
    pub(crate) fn input(shape: &[usize], mean: &[f64], std: &[f64], purpose: Purpose) -> Result<Self> {
        ensure!(shape.iter().all(|&n| n > 0), "an input needs at least 1 channel, row and column, got {shape:?}");
        let builder = Mutex::new(Builder::new(shape));
        let network = Construction { builder, purpose, found: AtomicUsize::new(0), stopped: AtomicBool::new(false) };
        let input = Self { network: network.into(), id: 0 };
        if mean.iter().all(|&m| m == 0.0) && std.iter().all(|&s| s == 1.0) {
            return Ok(input);
        }
        let normalize = op::Normalize { mean: mean.to_vec(), std: std.to_vec() };
        input.join("normalize", Arc::new(normalize), std::slice::from_ref(&input))
    }

    /// Finishes the network, with this node as its output.
    pub(crate) fn finish(&self) -> Result<Graph> {
        self.lock().clone().finish(self.id)
    }

    /// If construction stopped at a parameter that the weight file lacks, the number of earlier parameters that the file contains.
    pub(crate) fn stopped(&self) -> Option<usize> {
        let stopped = self.network.stopped.load(Ordering::Relaxed);
        stopped.then(|| self.network.found.load(Ordering::Relaxed))
    }

    /// In a strict build, errors if the weight file lacks a parameter of this node. The numbers of outputs and input channels may differ
    /// because the network is adapted to the file later.
    fn check_known(&self) -> Result<()> {
        let Purpose { shapes: Some(shapes), strict: true, .. } = &self.network.purpose else { return Ok(()) };
        let builder = self.lock();
        let node = &builder.nodes()[self.id];
        let first = node.inputs.first().is_some_and(|&id| is_picture(builder.nodes(), id));
        for parameter in node.parameters() {
            let fits = |shape: &[usize]| admits(node, first, &parameter.shape, shape);
            if !shapes.of_name(&parameter.name).any(fits) {
                self.network.stopped.store(true, Ordering::Relaxed);
                bail!("the weight file has no \"{}\" of shape {:?}", parameter.name, parameter.shape);
            }
            self.network.found.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The shape of the tensor `name` in the weight file for which the network is built; `default` if there is no file, or no tensor of
    /// this name with as many dimensions as `default`.
    fn weight_shape(&self, name: &str, default: Vec<usize>) -> Vec<usize> {
        let shapes = self.network.purpose.shapes.as_ref();
        let found = shapes.and_then(|shapes| shapes.of_name(name).find(|shape| shape.len() == default.len()));
        found.map_or(default, <[usize]>::to_vec)
    }

    /// Appends a node named `name` that applies `op` to `inputs`.
    fn join(&self, name: &str, op: Arc<dyn Op>, inputs: &[Self]) -> Result<Self> {
        self.check_own(name, inputs)?;
        let ids: Vec<_> = inputs.iter().map(|input| input.id).collect();
        let id = self.lock().add_shared(name, op, &ids)?;
        Ok(Self { network: self.network.clone(), id })
    }

    fn check_own(&self, name: &str, inputs: &[Self]) -> Result<()> {
        let own = |input: &Self| Arc::ptr_eq(&input.network, &self.network);
        ensure!(inputs.iter().all(own), "layer \"{name}\" has an input from a different network");
        Ok(())
    }

    /// The shape of the node's output for a batch of one, such as `(1, C, H, W)` or `(1, features)`.
    fn shape(&self) -> Vec<usize> {
        self.lock().shape(self.id).to_vec()
    }

    fn lock(&self) -> MutexGuard<'_, Builder> {
        self.network.builder.lock_unpoisoned()
    }
}

/// Whether a parameter of shape `stored` in a weight file can be loaded into a node whose parameter has shape `own`, possibly after the
/// network is adapted; `first` is true if the node reads the picture.
fn admits(node: &Node, first: bool, own: &[usize], stored: &[usize]) -> bool {
    let weighs = ["conv", "linear"].contains(&node.op.kind());
    let free = |dim: usize| weighs && (dim == 0 || (dim == 1 && first));
    own.len() == stored.len() && own.iter().zip(stored).enumerate().all(|(dim, (a, b))| a == b || free(dim))
}

/// Registers the functions that build networks, one per kind of operation.
pub(crate) fn register(engine: &mut Engine) {
    engine.register_get("shape", |x: &mut Handle| -> Array {
        x.shape().into_iter().map(|n| Dynamic::from(n as INT)).collect()
    });
    engine.register_fn("weight_shape", |x: &mut Handle, name: &str, default: Array| {
        let default = sizes(&Dynamic::from(default)).map_err(raise)?;
        let shape = x.weight_shape(name, default).into_iter().map(|n| Dynamic::from(n as INT));
        Ok::<Array, Box<EvalAltResult>>(shape.collect())
    });
    engine.register_fn("logits", |x: &mut Handle| {
        x.lock().set_logits(x.id);
        x.clone()
    });
    let mut module = Module::new();
    for spec in SPECS.iter().filter(|spec| spec.inputs != Inputs::None) {
        let required = spec.positional().iter().filter(|a| a.default == op::DefaultValue::Required).count();
        for given in required..=spec.positional().len() {
            add(&mut module, spec, given, false);
            if given == spec.positional().len() {
                add(&mut module, spec, given, true);
            }
        }
    }
    engine.register_global_module(module.into());
}

/// Registers a function for the operation `spec` with `positional` positional arguments and, if `options` is true, an options
/// map.
fn add(module: &mut Module, spec: &'static OpSpec, positional: usize, options: bool) {
    let (name, node) = (("name: string", TypeId::of::<ImmutableString>()), ("x: Node", TypeId::of::<Handle>()));
    let mut params = match spec.inputs {
        Inputs::Many => vec![name, ("inputs: array", TypeId::of::<Array>())],
        Inputs::Two => vec![node, name, ("y: Node", TypeId::of::<Handle>())],
        Inputs::None | Inputs::Beside | Inputs::One => vec![node, name],
    };
    let before = params.len();
    params.extend(spec.positional()[..positional].iter().map(|a| (a.name, TypeId::of::<Dynamic>())));
    params.extend(options.then_some(("options: map", TypeId::of::<Map>())));
    let typed = |name: &str| if name.contains(": ") { name.to_string() } else { format!("{name}: Dynamic") };
    let info = params.iter().map(|(name, _)| typed(name)).chain(["Node".into()]);
    let types: Vec<_> = params.iter().map(|(_, kind)| *kind).collect();
    let call = move |args: &mut [&mut Dynamic]| -> Result<Handle> {
        let (read, given) = args.split_at_mut(before);
        let (name, inputs) = reads(spec, read)?;
        let (values, map) = given.split_at(positional);
        let values = spec.positional().iter().zip(values).map(|(a, v)| (a.name.to_string(), attribute(v)));
        let mut map = map.first().and_then(|map| map.read_lock::<Map>().map(|map| map.clone())).unwrap_or_default();
        let renamed = map.remove("params").map(|names| full_names(&name, names)).transpose()?.unwrap_or_default();
        let named = map.iter().map(|(key, v)| (key.to_string(), attribute(v)));
        let node = build(spec, &name, &inputs, values.chain(named))?;
        renamed.iter().try_for_each(|(own, full)| node.lock().rename(node.id, own, full))?;
        node.check_known()?;
        Ok(node)
    };
    FuncRegistration::new(spec.kind).in_global_namespace().with_params_info(info).set_into_module_raw(
        module,
        types,
        RhaiFunc::Method {
            func: Arc::new(move |_, args: &mut [&mut Dynamic]| call(args).map(Dynamic::from).map_err(raise)),
            has_context: false,
            is_pure: true,
            is_volatile: true,
        },
    );
}

/// Parses the option `params: #{ weight: "encoder.in_proj_weight" }`, which sets the full names of a layer's parameters in
/// weight files.
fn full_names(layer: &str, names: Dynamic) -> Result<Vec<(String, String)>> {
    let what = || format!("\"params\" of layer \"{layer}\" must be a map such as #{{ weight: \"in_proj_weight\" }}");
    let names = names.try_cast::<Map>().with_context(what)?;
    let text = |(own, full): (&rhai::Identifier, &Dynamic)| {
        Ok((own.to_string(), full.clone().into_string().ok().with_context(what)?))
    };
    names.iter().map(text).collect()
}

/// Reads the name and the input nodes of a new node from the first arguments of a call.
fn reads(spec: &OpSpec, args: &[&mut Dynamic]) -> Result<(String, Vec<Handle>)> {
    let node = |value: &Dynamic| value.clone().flatten().try_cast::<Handle>();
    let text = |value: &Dynamic| {
        value.clone().into_string().map_err(|kind| anyhow::anyhow!("a layer's name must be a string, got {kind}"))
    };
    if spec.inputs != Inputs::Many {
        let name = text(args[1])?;
        let all = [Some(&args[0]), args.get(2)].into_iter().flatten();
        let all: Option<Vec<_>> = all.map(|value| node(value)).collect();
        return Ok((name, all.context("the inputs of a layer must be nodes of a network")?));
    }
    let name = text(args[0])?;
    let all: Option<Vec<_>> = args[1].read_lock::<Array>().and_then(|parts| parts.iter().map(node).collect());
    let all = all.with_context(|| format!("layer \"{name}\" expects an array of nodes, such as [a, b]"))?;
    ensure!(!all.is_empty(), "layer \"{name}\" needs at least one input");
    Ok((name, all))
}

/// Appends a node for the operation `spec`, with the given attributes, after `inputs`.
fn build(
    spec: &'static OpSpec,
    name: &str,
    inputs: &[Handle],
    given: impl Iterator<Item = (String, Attribute)>,
) -> Result<Handle> {
    let first = &inputs[0];
    first.check_own(name, inputs)?;
    let shapes: Vec<_> = inputs.iter().map(Handle::shape).collect();
    let shapes: Vec<_> = shapes.iter().map(Vec::as_slice).collect();
    let outputs = first.network.purpose.sizes.outputs.get(name).map(|&n| Attribute::Int(n as i64));
    let given = given.map(|(key, value)| match &outputs {
        Some(outputs) if key == OUTPUTS[0] || key == OUTPUTS[1] => (key, outputs.clone()),
        _ => (key, value),
    });
    let op = spec.build(given, &shapes).with_context(|| format!("layer \"{name}\""))?;
    first.join(name, op, if spec.inputs == Inputs::Beside { &[] } else { inputs })
}
