//! Rewrites ATen operators as ONNX operators.

use super::archive::Archive;
use super::arguments::Call;
use super::in_place::{InPlace, changes};
use crate::graph::op::{Attribute, Family, Inputs, SPECS};
use crate::model::import::FREE_BATCH;
use crate::model::onnx::program::{Attributes, Input, Node, Program};
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// The ONNX opset version that programs are rewritten to.
const OPSET: i64 = 20;

/// The code of the dtype `bool` in a program.
const BOOL: u64 = 12;

/// The program of an archive, rewritten with ONNX operators.
pub fn program(archive: &Archive) -> Result<Program> {
    let module = &archive.program["graph_module"];
    let (graph, signature) = (&module["graph"], &module["signature"]);
    let mut translator = Translator::of(graph)?;
    let mut inputs = vec![];
    for spec in signature["input_specs"].as_array().into_iter().flatten() {
        for (kind, spec) in spec.as_object().into_iter().flatten() {
            let arg = spec["arg"]["name"].as_str().or_else(|| spec["arg"]["as_tensor"]["name"].as_str());
            let name = arg.context("an input has no name")?.to_string();
            let full = match kind.as_str() {
                "parameter" => spec["parameter_name"].as_str(),
                "buffer" => spec["buffer_name"].as_str(),
                "tensor_constant" => spec["tensor_constant_name"].as_str(),
                "user_input" => {
                    inputs.push(name);
                    continue;
                }
                other => bail!("an input of kind \"{}\" is not supported", words::name(other)),
            };
            let full = full.context("a parameter has no name")?;
            let tensor = archive.tensors.get(full);
            let tensor = tensor.with_context(|| format!("the file has no tensor \"{}\"", words::name(full)))?;
            translator.called.insert(name, full.to_string());
            translator.constants.insert(full.to_string(), tensor.clone());
        }
    }
    let [input] = &inputs[..] else {
        bail!("only networks with one input are supported; this network has {}", inputs.len())
    };
    translator.batch(input);
    for node in graph["nodes"].as_array().into_iter().flatten() {
        let symbols = translator.symbols.clone();
        let call = Call::of(node, &symbols)?;
        let what = || format!("operator {}", words::name(call.target));
        translator.follow(&call).with_context(what)?;
    }
    let shape = translator.shape(input)?;
    let sizes = shape.iter().map(|&n| (n != FREE_BATCH as i64).then_some(n as usize)).collect();
    let outputs = graph["outputs"].as_array().into_iter().flatten();
    let outputs: Vec<_> = outputs.filter_map(|o| o["as_tensor"]["name"].as_str()).collect();
    outputs.iter().try_for_each(|name| translator.settle(name))?;
    let outputs: Vec<_> = outputs.into_iter().map(|name| translator.name(name)).collect();
    ensure!(!outputs.is_empty(), "the program returns no tensor");
    Ok(Program {
        opset: OPSET,
        nodes: translator.nodes,
        constants: translator.constants,
        inputs: vec![Input { name: input.clone(), shape: sizes }],
        outputs,
        metadata: BTreeMap::new(),
    })
}

/// The operators rewritten so far.
struct Translator<'a> {
    /// Shapes of all values.
    shapes: &'a Value,
    /// Names of parameters by the names of the program's inputs.
    called: HashMap<String, String>,
    constants: HashMap<String, Tensor>,
    nodes: Vec<Node>,
    /// Values of symbolic sizes.
    symbols: HashMap<String, i64>,
    /// The expression for the dynamic batch size.
    free: Option<String>,
    in_place: InPlace,
}

impl<'a> Translator<'a> {
    fn of(graph: &'a Value) -> Result<Self> {
        let shapes = &graph["tensor_values"];
        ensure!(shapes.is_object(), "the program records no shapes");
        Ok(Self {
            shapes,
            called: HashMap::new(),
            constants: HashMap::new(),
            nodes: vec![],
            symbols: HashMap::new(),
            free: None,
            in_place: InPlace::default(),
        })
    }

    /// Records the expression for the batch size of the input, if it is dynamic.
    fn batch(&mut self, input: &str) {
        let first = &self.shapes[input]["sizes"][0];
        self.free = first["as_expr"]["expr_str"].as_str().map(String::from);
    }

    /// The name of a value in the rewritten program.
    fn name(&self, name: &str) -> String {
        let changed = self.in_place.current(name);
        changed.or_else(|| self.called.get(name)).cloned().unwrap_or_else(|| name.into())
    }

    /// Adds an operator, and tracks which tensors it changes in place and which of its results are views.
    fn follow(&mut self, call: &Call) -> Result<()> {
        let inputs = call.all_tensors();
        inputs.iter().try_for_each(|name| self.settle(name))?;
        let (base, _) = call.target.split_once('.').unwrap_or((call.target, ""));
        let before = self.nodes.len();
        self.add(call)?;
        let source = call.tensor("self").or_else(|| call.tensor("input"));
        let Some(source) = source else { return Ok(()) };
        match call.outputs.first() {
            Some(result) if changes(base) => self.in_place.change(&source, result),
            _ => self.in_place.take(base, &source, &call.outputs, &self.nodes[before..]),
        }
        Ok(())
    }

    /// Updates a tensor if a view of it was changed in place. Errors if the tensor's value is no longer known.
    fn settle(&mut self, name: &str) -> Result<()> {
        ensure!(
            !self.in_place.is_stale(name),
            "an operator reads \"{}\", which shares memory with a tensor that was changed in place; this is not supported",
            words::name(name)
        );
        let Some((chain, new)) = self.in_place.pending(name) else { return Ok(()) };
        let shape = self.shape(name)?;
        let count: i64 = shape.iter().product();
        ensure!(count < 1 << 24, "changing a part of \"{}\" in place is not supported", words::name(name));
        // The index of each element in the flattened tensor. The view's operators then select the indices of its elements.
        let positions: Vec<i64> = (0..count).collect();
        let sizes: Vec<usize> = shape.iter().map(|&n| n as usize).collect();
        let mut index = self.constant(Tensor::from_vec(positions, sizes, &Device::Cpu)?)?;
        let add = |translator: &mut Self, node: &Node, op: &str, attributes: Attributes, inputs: Vec<String>| {
            let output = format!("{name}:{}", translator.nodes.len());
            let node = Node {
                op: op.into(),
                attributes,
                inputs,
                outputs: vec![output.clone()],
                name: output.clone(),
                ..node.clone()
            };
            translator.nodes.push(node);
            output
        };
        let Some(last) = chain.last().cloned() else { return Ok(()) };
        for node in &chain {
            let inputs = std::iter::once(index).chain(node.inputs.iter().skip(1).cloned()).collect();
            index = add(self, node, &node.op, node.attributes.clone(), inputs);
        }
        let (column, row, whole) = (self.integers(&[-1, 1])?, self.integers(&[-1])?, self.integers(&shape)?);
        let none = Attributes::default;
        let index = add(self, &last, "Reshape", none(), vec![index, column]);
        let new = add(self, &last, "Reshape", none(), vec![new, row.clone()]);
        let old = add(self, &last, "Reshape", none(), vec![self.name(name), row]);
        let changed = add(self, &last, "ScatterND", none(), vec![old, index, new]);
        let changed = add(self, &last, "Reshape", none(), vec![changed, whole]);
        self.in_place.set(name, changed);
        Ok(())
    }

    /// The shape of a value, with [`FREE_BATCH`] for a dynamic batch size.
    fn shape(&self, name: &str) -> Result<Vec<i64>> {
        let sizes = self.shapes[name]["sizes"].as_array();
        let sizes = sizes.with_context(|| format!("the shape of \"{}\" is missing", words::name(name)))?;
        sizes.iter().map(|size| self.size(size)).collect()
    }

    fn size(&self, size: &Value) -> Result<i64> {
        if let Some(n) = size["as_int"].as_i64() {
            return Ok(n);
        }
        let text = size["as_expr"]["expr_str"].as_str().with_context(|| format!("invalid size {size}"))?;
        let found = expression(text, self.free.as_deref().unwrap_or_default());
        found.with_context(|| {
            format!("the symbolic size {} is not supported; only the batch size may be dynamic", words::name(text))
        })
    }

    fn rank(&self, name: &str) -> Result<i64> {
        Ok(self.shapes[name]["sizes"].as_array().context("a value has no shape")?.len() as i64)
    }

    /// Adds a constant of integers and returns its name.
    fn integers(&mut self, values: &[i64]) -> Result<String> {
        self.constant(Tensor::new(values, &Device::Cpu)?)
    }

    fn number(&mut self, value: f64) -> Result<String> {
        self.constant(Tensor::new(value as f32, &Device::Cpu)?)
    }

    fn constant(&mut self, tensor: Tensor) -> Result<String> {
        let name = format!("const:{}", self.constants.len());
        self.constants.insert(name.clone(), tensor);
        Ok(name)
    }

    /// Adds an operator with the given outputs.
    fn node(&mut self, call: &Call, op: &str, attributes: Attributes, inputs: Vec<String>, outputs: Vec<String>) {
        let name = outputs.first().cloned().unwrap_or_default();
        let module = call.module.clone();
        self.nodes.push(Node { op: op.into(), attributes, inputs, outputs, module, name });
    }

    /// Adds an operator with the outputs of the call.
    fn last(&mut self, call: &Call, op: &str, attributes: Attributes, inputs: Vec<String>) {
        self.node(call, op, attributes, inputs, call.outputs.clone());
    }

    /// Adds an intermediate operator, whose single output is used only within this call, and returns the name of that output.
    fn inner(&mut self, call: &Call, op: &str, attributes: Attributes, inputs: Vec<String>) -> String {
        let name = format!("{}:{}", call.outputs.first().map_or("", String::as_str), self.nodes.len());
        self.node(call, op, attributes, inputs, vec![name.clone()]);
        name
    }

    /// The name of a tensor argument, or of a constant with the value of a scalar argument.
    fn operand(&mut self, call: &Call, name: &str) -> Result<String> {
        match (call.tensor(name), call.number(name)) {
            (Some(tensor), _) => Ok(self.name(&tensor)),
            (None, Some(number)) => self.number(number),
            (None, None) => bail!("\"{name}\" is neither a tensor nor a number"),
        }
    }

    fn input(&self, call: &Call, name: &str) -> Result<String> {
        Ok(self.name(&call.needed(name)?))
    }

    /// The name of a layer's parameter. If it is absent, a constant with the value `default` for each of `count` channels is added.
    fn parameter(&mut self, call: &Call, name: &str, count: usize, default: f64) -> Result<String> {
        match call.tensor(name) {
            Some(tensor) => Ok(self.name(&tensor)),
            None => self.constant(Tensor::full(default as f32, count, &Device::Cpu)?),
        }
    }

    fn add(&mut self, call: &Call) -> Result<()> {
        let none = Attributes::default;
        let (base, _) = call.target.split_once('.').unwrap_or((call.target, ""));
        let base = base.trim_end_matches('_');
        if self.activation(call)? {
            return Ok(());
        }
        match base {
            "_assert_tensor_metadata" | "sym_constrain_range_for_size" | "_assert_scalar" => Ok(()),
            "sym_size" => {
                let shape = self.shape(&call.needed("self")?)?;
                let n = *shape.get(wrapped(call.int("dim", 0)?, shape.len())).context("no such dimension")?;
                self.symbols.extend(call.outputs.iter().map(|name| (name.clone(), n)));
                Ok(())
            }
            "dropout" | "feature_dropout" | "alias" | "contiguous" | "clone" | "detach" | "to" | "type_as"
            | "_to_copy" | "lift_fresh_copy" => {
                let x = self.input(call, "self").or_else(|_| self.input(call, "input"))?;
                self.last(call, "Identity", none(), vec![x]);
                Ok(())
            }
            "conv2d" | "conv1d" | "convolution" => self.conv(call),
            "conv_transpose2d" => self.conv_transpose(call),
            "linear" | "addmm" => self.linear(call, base),
            "batch_norm" | "_native_batch_norm_legit_no_training" => {
                let channels = self.shape(&call.needed("input")?)?.get(1).copied().unwrap_or(1) as usize;
                let inputs = vec![
                    self.input(call, "input")?,
                    self.parameter(call, "weight", channels, 1.0)?,
                    self.parameter(call, "bias", channels, 0.0)?,
                    self.parameter(call, "running_mean", channels, 0.0)?,
                    self.parameter(call, "running_var", channels, 1.0)?,
                ];
                let training = i64::from(call.bool("training", false));
                let attributes = floats(&[("epsilon", call.float("eps", 1e-5))], &[("training_mode", training)]);
                self.node(call, "BatchNormalization", attributes, inputs, call.outputs[..1].to_vec());
                Ok(())
            }
            "layer_norm" | "native_layer_norm" => {
                let shape = call.ints("normalized_shape")?.context("no normalized_shape")?;
                let total: i64 = shape.iter().product();
                let mut inputs = vec![self.input(call, "input")?, self.parameter(call, "weight", total as usize, 1.0)?];
                if call.tensor("bias").is_some() {
                    inputs.push(self.input(call, "bias")?);
                }
                let attributes = floats(&[("epsilon", call.float("eps", 1e-5))], &[("axis", -(shape.len() as i64))]);
                self.node(call, "LayerNormalization", attributes, inputs, call.outputs[..1].to_vec());
                Ok(())
            }
            "rms_norm" => {
                let shape = call.ints("normalized_shape")?.context("no normalized_shape")?;
                let total: i64 = shape.iter().product();
                let inputs = vec![self.input(call, "input")?, self.parameter(call, "weight", total as usize, 1.0)?];
                let attributes = floats(&[("epsilon", call.float("eps", f64::from(f32::EPSILON)))], &[("axis", -1)]);
                self.last(call, "RMSNormalization", attributes, inputs);
                Ok(())
            }
            "group_norm" => {
                let channels = self.shape(&call.needed("input")?)?.get(1).copied().unwrap_or(1) as usize;
                let inputs = vec![
                    self.input(call, "input")?,
                    self.parameter(call, "weight", channels, 1.0)?,
                    self.parameter(call, "bias", channels, 0.0)?,
                ];
                let groups = call.int("num_groups", 1)?;
                let attributes = floats(&[("epsilon", call.float("eps", 1e-5))], &[("num_groups", groups)]);
                self.last(call, "GroupNormalization", attributes, inputs);
                Ok(())
            }
            "add" | "sub" | "mul" | "div" => {
                let (a, mut b) = (self.operand(call, "self")?, self.operand(call, "other")?);
                let alpha = call.float("alpha", 1.0);
                if alpha != 1.0 {
                    let factor = self.number(alpha)?;
                    b = self.inner(call, "Mul", none(), vec![b, factor]);
                }
                let op = match base {
                    "add" => "Add",
                    "sub" => "Sub",
                    "mul" => "Mul",
                    _ => "Div",
                };
                self.last(call, op, none(), vec![a, b]);
                Ok(())
            }
            "arange" => {
                // A single argument is the end.
                let (start, end, step) = (call.int("start", 0)?, call.int("end", 0)?, call.int("step", 1)?);
                let inputs = [start, end, step].map(|n| self.constant(Tensor::new(n, &Device::Cpu)?));
                let inputs = inputs.into_iter().collect::<Result<_>>()?;
                self.last(call, "Range", none(), inputs);
                Ok(())
            }
            "ne" => {
                let inputs = vec![self.operand(call, "self")?, self.operand(call, "other")?];
                let equal = self.inner(call, "Equal", none(), inputs);
                self.last(call, "Not", none(), vec![equal]);
                Ok(())
            }
            "eq" | "lt" | "le" | "gt" | "ge" => {
                let inputs = vec![self.operand(call, "self")?, self.operand(call, "other")?];
                let op = match base {
                    "eq" => "Equal",
                    "lt" => "Less",
                    "le" => "LessOrEqual",
                    "gt" => "Greater",
                    _ => "GreaterOrEqual",
                };
                self.last(call, op, none(), inputs);
                Ok(())
            }
            "matmul" | "bmm" | "mm" => {
                let second = if base == "matmul" { "other" } else { "mat2" };
                let inputs = vec![self.input(call, "self")?, self.input(call, second)?];
                self.last(call, "MatMul", none(), inputs);
                Ok(())
            }
            "addcmul" => {
                let [x, a, b] = ["self", "tensor1", "tensor2"].map(|name| self.input(call, name));
                let mut product = self.inner(call, "Mul", none(), vec![a?, b?]);
                if call.float("value", 1.0) != 1.0 {
                    let value = self.number(call.float("value", 1.0))?;
                    product = self.inner(call, "Mul", none(), vec![product, value]);
                }
                self.last(call, "Add", none(), vec![x?, product]);
                Ok(())
            }
            "einsum" => {
                let equation = call.text("equation").context("no equation")?;
                let all = call.tensors("tensors").into_iter().flatten().map(|name| self.name(&name)).collect();
                let attributes = Attributes::default().with_text("equation", equation);
                self.last(call, "Einsum", attributes, all);
                Ok(())
            }
            "scaled_dot_product_attention" => self.attention(call),
            "softmax" | "_softmax" | "log_softmax" | "_log_softmax" => {
                let op = if base.contains("log") { "LogSoftmax" } else { "Softmax" };
                let x = self.input(call, "self")?;
                self.last(call, op, floats(&[], &[("axis", call.int("dim", -1)?)]), vec![x]);
                Ok(())
            }
            "pow" => {
                let (x, exponent) = (self.input(call, "self")?, self.operand(call, "exponent")?);
                self.last(call, "Pow", none(), vec![x, exponent]);
                Ok(())
            }
            "neg" | "sqrt" | "reciprocal" | "erf" | "abs" | "log" | "cos" => {
                let x = self.input(call, "self")?;
                let op = base[..1].to_uppercase() + &base[1..];
                self.last(call, &op, none(), vec![x]);
                Ok(())
            }
            "rsqrt" => {
                let x = self.input(call, "self")?;
                let root = self.inner(call, "Sqrt", none(), vec![x]);
                self.last(call, "Reciprocal", none(), vec![root]);
                Ok(())
            }
            "linalg_vector_norm" | "norm" => {
                ensure!(
                    call.float("ord", 2.0) == 2.0 && call.float("p", 2.0) == 2.0,
                    "only the Euclidean norm is supported"
                );
                self.reduction(call, "ReduceL2")
            }
            "mean" => self.reduction(call, "ReduceMean"),
            "sum" => self.reduction(call, "ReduceSum"),
            "amax" => self.reduction(call, "ReduceMax"),
            "max_pool2d" | "avg_pool2d" => self.pool(call, base == "max_pool2d"),
            "adaptive_avg_pool2d" | "adaptive_max_pool2d" => {
                let size = call.ints("output_size")?.context("no output_size")?;
                let x = self.input(call, "self")?;
                if size.iter().all(|&n| n == 1) {
                    let op = if base.contains("avg") { "GlobalAveragePool" } else { "GlobalMaxPool" };
                    self.node(call, op, none(), vec![x], call.outputs[..1].to_vec());
                    return Ok(());
                }
                ensure!(base.contains("avg"), "adaptive max pooling is supported only for output size 1");
                let size = self.integers(&size)?;
                self.last(call, "AdaptiveAveragePool", none(), vec![x, size]);
                Ok(())
            }
            "view" | "reshape" | "_unsafe_view" | "flatten" | "unflatten" | "reshape_as" | "view_as" | "squeeze"
            | "unsqueeze" => {
                let x = self.input(call, "self")?;
                let shape = self.shape(&call.outputs[0])?;
                let shape = self.integers(&shape)?;
                self.last(call, "Reshape", floats(&[], &[("allowzero", 1)]), vec![x, shape]);
                Ok(())
            }
            "expand" | "expand_as" => {
                let x = self.input(call, "self")?;
                let shape = self.shape(&call.outputs[0])?;
                let shape = self.integers(&shape)?;
                self.last(call, "Expand", none(), vec![x, shape]);
                Ok(())
            }
            "permute" | "transpose" | "swapaxes" | "swapdims" | "t" | "numpy_T" => {
                let source = call.needed("self")?;
                let rank = self.rank(&source)?;
                let mut order: Vec<i64> = (0..rank).collect();
                match base {
                    "permute" => {
                        let dims = call.ints("dims")?.context("no dims")?;
                        order = dims.iter().map(|&d| wrapped(d, rank as usize) as i64).collect();
                    }
                    "transpose" | "swapaxes" | "swapdims" => {
                        let names = if base == "swapaxes" { ["axis0", "axis1"] } else { ["dim0", "dim1"] };
                        let [a, b] = names.map(|name| call.int(name, 0));
                        let (a, b) = (wrapped(a?, order.len()), wrapped(b?, order.len()));
                        ensure!(a < order.len() && b < order.len(), "no such dimension");
                        order.swap(a, b);
                    }
                    _ => order.reverse(),
                }
                let x = self.name(&source);
                self.last(call, "Transpose", lists(&[("perm", &order)]), vec![x]);
                Ok(())
            }
            "cat" | "stack" => {
                let mut all: Vec<_> =
                    call.tensors("tensors").into_iter().flatten().map(|name| self.name(&name)).collect();
                let dim = call.int("dim", 0)?;
                let rank = self.rank(&call.outputs[0])?;
                let dim = wrapped(dim, rank as usize) as i64;
                if base == "stack" {
                    let axes = self.integers(&[dim])?;
                    all =
                        all.into_iter().map(|x| self.inner(call, "Unsqueeze", none(), vec![x, axes.clone()])).collect();
                }
                self.last(call, "Concat", floats(&[], &[("axis", dim)]), all);
                Ok(())
            }
            "unbind" | "select" => {
                let x = self.input(call, "self")?;
                let dim = call.int("dim", 0)?;
                let outputs = call.outputs.clone();
                for (at, output) in outputs.into_iter().enumerate() {
                    let index = if base == "select" { call.int("index", 0)? } else { at as i64 };
                    let index = self.constant(Tensor::new(index, &Device::Cpu)?)?;
                    self.node(call, "Gather", floats(&[], &[("axis", dim)]), vec![x.clone(), index], vec![output]);
                }
                Ok(())
            }
            "slice" | "narrow" => {
                let x = self.input(call, "self")?;
                let start = call.int("start", 0)?;
                let end = match base {
                    "slice" => call.int("end", i64::MAX)?,
                    _ => start + call.int("length", 0)?,
                };
                let parts = [start, end, call.int("dim", 0)?, call.int("step", 1)?];
                let mut inputs = vec![x];
                for part in parts {
                    inputs.push(self.integers(&[part])?);
                }
                self.last(call, "Slice", none(), inputs);
                Ok(())
            }
            "chunk" | "split" | "split_with_sizes" => {
                let source = call.needed("self")?;
                let dim = wrapped(call.int("dim", 0)?, self.rank(&source)? as usize);
                let part = |name: &String| Ok(*self.shape(name)?.get(dim).context("no such dimension")?);
                let sizes = call.outputs.iter().map(part).collect::<Result<Vec<_>>>()?;
                let (x, sizes) = (self.name(&source), self.integers(&sizes)?);
                self.last(call, "Split", floats(&[], &[("axis", dim as i64)]), vec![x, sizes]);
                Ok(())
            }
            "index" | "index_select" => {
                let x = self.input(call, "self")?;
                let (axis, index) = match base {
                    "index" => {
                        let all = call.tensors("indices");
                        let given: Vec<_> =
                            all.iter().enumerate().filter_map(|(at, name)| Some((at, name.clone()?))).collect();
                        let [(axis, index)] = &given[..] else {
                            bail!("indexing with {} tensors at once is not supported", given.len())
                        };
                        (*axis as i64, index.clone())
                    }
                    _ => (call.int("dim", 0)?, call.needed("index")?),
                };
                let index = self.name(&index);
                self.last(call, "Gather", floats(&[], &[("axis", axis)]), vec![x, index]);
                Ok(())
            }
            "roll" => self.roll(call),
            "fill" | "zero" | "new_zeros" | "new_ones" | "new_full" | "zeros_like" | "ones_like" | "full_like"
            | "zeros" | "ones" | "full" => {
                let value = match base {
                    _ if base.contains("one") => 1.0,
                    "fill" => call.number("value").context("no value")?,
                    _ if base.contains("full") => call.number("fill_value").context("no fill_value")?,
                    _ => 0.0,
                };
                let shape = self.shape(&call.outputs[0])?;
                let (value, shape) = (self.number(value)?, self.integers(&shape)?);
                self.last(call, "Expand", none(), vec![value, shape]);
                Ok(())
            }
            "copy" => {
                let (source, shape) = (self.input(call, "src")?, self.shape(&call.outputs[0])?);
                let shape = self.integers(&shape)?;
                self.last(call, "Expand", none(), vec![source, shape]);
                Ok(())
            }
            "masked_fill" => {
                let (x, mask, value) =
                    (self.input(call, "self")?, self.input(call, "mask")?, self.operand(call, "value")?);
                self.last(call, "Where", none(), vec![mask, value, x]);
                Ok(())
            }
            "clamp_min" | "clamp_max" => {
                let (x, bound) = (self.input(call, "self")?, self.operand(call, &base["clamp_".len()..])?);
                let bounds = if base == "clamp_min" { vec![x, bound] } else { vec![x, String::new(), bound] };
                self.last(call, "Clip", none(), bounds);
                Ok(())
            }
            "pad" | "constant_pad_nd" | "reflection_pad2d" | "replication_pad2d" => self.pad(call, base),
            "upsample_nearest2d"
            | "upsample_bilinear2d"
            | "_upsample_bilinear2d_aa"
            | "upsample_bicubic2d"
            | "_upsample_bicubic2d_aa" => self.upsample(call, base),
            _ => {
                // Unknown operators are reported later, all in one message.
                let all = call.tensor("self").or_else(|| call.tensor("input")).map(|name| self.name(&name));
                self.last(call, &format!("aten.{}", call.target), none(), all.into_iter().collect());
                Ok(())
            }
        }
    }

    /// Adds the activation that a call applies, with the call's arguments. Returns false if the call is not an activation.
    fn activation(&mut self, call: &Call) -> Result<bool> {
        let fits = |spec: &&&crate::graph::op::OpSpec| {
            spec.family == Family::Activation && spec.inputs == Inputs::One && spec.aten.contains(&call.target)
        };
        let Some(spec) = SPECS.iter().find(fits) else { return Ok(false) };
        let mut arguments = vec![];
        for argument in spec.arguments {
            let names = [&[argument.name], argument.aliases].concat();
            for name in names {
                if let Some(number) = call.number(name) {
                    arguments.push((argument.name, Attribute::Float(number)));
                } else if let Some(text) = call.text(name) {
                    arguments.push((argument.name, Attribute::Text(text.into())));
                }
            }
        }
        let x = self.input(call, "self").or_else(|_| self.input(call, "input"))?;
        if spec.kind == "hardtanh" {
            // A clip; both bounds are optional.
            let bound = |name: &str| arguments.iter().find(|(n, _)| *n == name).and_then(|(_, v)| v.float().ok());
            let (low, high) =
                (bound("min_val").unwrap_or(-f64::from(f32::MAX)), bound("max_val").unwrap_or(f64::from(f32::MAX)));
            let hardtanh = call.target.starts_with("hardtanh");
            let low = if hardtanh && bound("min_val").is_none() { -1.0 } else { low };
            let high = if hardtanh && bound("max_val").is_none() { 1.0 } else { high };
            let (low, high) = (self.number(low)?, self.number(high)?);
            self.last(call, "Clip", Attributes::default(), vec![x, low, high]);
            return Ok(true);
        }
        self.last(call, &format!("activation.{}", spec.kind), Attributes::of(&arguments), vec![x]);
        Ok(true)
    }

    fn conv(&mut self, call: &Call) -> Result<()> {
        ensure!(!call.bool("transposed", false), "a transposed convolution is not supported here");
        let mut inputs = vec![self.input(call, "input")?, self.input(call, "weight")?];
        if call.tensor("bias").is_some() {
            inputs.push(self.input(call, "bias")?);
        }
        let groups = call.int("groups", 1)?;
        let list = |name: &str, default: i64| -> Result<Vec<i64>> {
            let rank = if call.target.starts_with("conv1d") { 1 } else { 2 };
            let all = call.ints(name)?.unwrap_or_else(|| vec![default; rank]);
            Ok(if all.len() == 1 { vec![all[0]; rank] } else { all })
        };
        let (strides, dilations) = (list("stride", 1)?, list("dilation", 1)?);
        let attributes = match call.text("padding") {
            Some("same") => {
                lists(&[("strides", &strides), ("dilations", &dilations)]).with_text("auto_pad", "SAME_UPPER")
            }
            Some("valid") => lists(&[("strides", &strides), ("dilations", &dilations)]),
            _ => {
                let padding = list("padding", 0)?;
                let pads = [&padding[..], &padding].concat();
                lists(&[("strides", &strides), ("dilations", &dilations), ("pads", &pads)])
            }
        };
        self.last(call, "Conv", attributes.with_int("group", groups), inputs);
        Ok(())
    }

    fn conv_transpose(&mut self, call: &Call) -> Result<()> {
        let mut inputs = vec![self.input(call, "input")?, self.input(call, "weight")?];
        if call.tensor("bias").is_some() {
            inputs.push(self.input(call, "bias")?);
        }
        let list = |name: &str, default: i64| -> Result<Vec<i64>> {
            let all = call.ints(name)?.unwrap_or_else(|| vec![default; 2]);
            Ok(if all.len() == 1 { vec![all[0]; 2] } else { all })
        };
        let padding = list("padding", 0)?;
        let attributes = lists(&[
            ("strides", &list("stride", 1)?),
            ("dilations", &list("dilation", 1)?),
            ("pads", &[&padding[..], &padding].concat()),
            ("output_padding", &list("output_padding", 0)?),
        ]);
        self.last(call, "ConvTranspose", attributes.with_int("group", call.int("groups", 1)?), inputs);
        Ok(())
    }

    /// Rewrites `linear`, or `addmm`: `input + mat1 · mat2`.
    fn linear(&mut self, call: &Call, base: &str) -> Result<()> {
        if base == "addmm" {
            let inputs = vec![self.input(call, "mat1")?, self.input(call, "mat2")?, self.input(call, "self")?];
            let attributes = floats(&[("alpha", call.float("alpha", 1.0)), ("beta", call.float("beta", 1.0))], &[]);
            self.last(call, "Gemm", attributes, inputs);
            return Ok(());
        }
        let weight = self.input(call, "weight")?;
        let turned = self.inner(call, "Transpose", lists(&[("perm", &[1, 0])]), vec![weight]);
        let mut inputs = vec![self.input(call, "input")?, turned];
        if call.tensor("bias").is_some() {
            inputs.push(self.input(call, "bias")?);
        }
        self.last(call, "Linear", Attributes::default(), inputs);
        Ok(())
    }

    /// Rewrites attention: `softmax(q · kᵀ · scale + mask) · v`.
    fn attention(&mut self, call: &Call) -> Result<()> {
        ensure!(!call.bool("is_causal", false), "causal attention is not supported");
        let query = call.needed("query")?;
        let (shape, none) = (self.shape(&query)?, Attributes::default);
        let rank = shape.len();
        ensure!(rank >= 2, "attention needs inputs of rank 2 or more");
        let scale = call.number("scale").unwrap_or_else(|| 1.0 / (shape[rank - 1] as f64).sqrt());
        let mut order: Vec<i64> = (0..rank as i64).collect();
        order.swap(rank - 2, rank - 1);
        let key = self.input(call, "key")?;
        let key = self.inner(call, "Transpose", lists(&[("perm", &order)]), vec![key]);
        let (query, factor) = (self.name(&query), self.number(scale)?);
        let scores = self.inner(call, "MatMul", none(), vec![query, key]);
        let mut scores = self.inner(call, "Mul", none(), vec![scores, factor]);
        if let Some(name) = call.tensor("attn_mask") {
            let mut mask = self.input(call, "attn_mask")?;
            if self.shapes[&name]["dtype"].as_u64() == Some(BOOL) {
                let (seen, unseen) = (self.number(0.0)?, self.number(f64::NEG_INFINITY)?);
                mask = self.inner(call, "Where", none(), vec![mask, seen, unseen]);
            }
            scores = self.inner(call, "Add", none(), vec![scores, mask]);
        }
        let attention = self.inner(call, "Softmax", floats(&[], &[("axis", -1)]), vec![scores]);
        let value = self.input(call, "value")?;
        self.last(call, "MatMul", none(), vec![attention, value]);
        Ok(())
    }

    fn reduction(&mut self, call: &Call, op: &str) -> Result<()> {
        let x = self.input(call, "self")?;
        let keep = [("keepdims", i64::from(call.bool("keepdim", false)))];
        let mut inputs = vec![x];
        if let Some(dims) = call.ints("dim")?.filter(|dims| !dims.is_empty()) {
            inputs.push(self.integers(&dims)?);
        }
        self.last(call, op, floats(&[], &keep), inputs);
        Ok(())
    }

    fn pool(&mut self, call: &Call, max: bool) -> Result<()> {
        let pair = |name: &str| -> Result<Option<Vec<i64>>> {
            let all = call.ints(name)?.filter(|all| !all.is_empty());
            Ok(all.map(|all| if all.len() == 1 { vec![all[0]; 2] } else { all }))
        };
        let kernel = pair("kernel_size")?.context("no kernel_size")?;
        let strides = pair("stride")?.unwrap_or_else(|| kernel.clone());
        let padding = pair("padding")?.unwrap_or_else(|| vec![0, 0]);
        let pads = [&padding[..], &padding].concat();
        let mut attributes = lists(&[("kernel_shape", &kernel), ("strides", &strides), ("pads", &pads)]);
        attributes = attributes.with_int("ceil_mode", i64::from(call.bool("ceil_mode", false)));
        if max {
            let dilations = pair("dilation")?.unwrap_or_else(|| vec![1, 1]);
            attributes = attributes.and(lists(&[("dilations", &dilations)]));
        } else {
            ensure!(call.number("divisor_override").is_none(), "divisor_override is not supported");
            attributes = attributes.with_int("count_include_pad", i64::from(call.bool("count_include_pad", true)));
        }
        let x = self.input(call, "self")?;
        self.node(call, if max { "MaxPool" } else { "AveragePool" }, attributes, vec![x], call.outputs[..1].to_vec());
        Ok(())
    }

    /// Rewrites a cyclic shift as the concatenation of two slices in reverse order.
    fn roll(&mut self, call: &Call) -> Result<()> {
        let source = call.needed("self")?;
        let shape = self.shape(&source)?;
        let (shifts, dims) = (call.ints("shifts")?.unwrap_or_default(), call.ints("dims")?.unwrap_or_default());
        ensure!(
            shifts.len() == dims.len() && !dims.is_empty(),
            "roll has {} shifts for {} dims",
            shifts.len(),
            dims.len()
        );
        let mut x = self.name(&source);
        for (at, (shift, dim)) in shifts.iter().zip(&dims).enumerate() {
            let dim = wrapped(*dim, shape.len());
            let size = *shape.get(dim).context("no such dimension")?;
            let cut = (size - shift).rem_euclid(size.max(1));
            let mut part = |start: i64, end: i64| -> Result<String> {
                let mut inputs = vec![x.clone()];
                for n in [start, end, dim as i64] {
                    inputs.push(self.integers(&[n])?);
                }
                Ok(self.inner(call, "Slice", Attributes::default(), inputs))
            };
            let parts = if cut == 0 { vec![part(0, size)?] } else { vec![part(cut, size)?, part(0, cut)?] };
            let attributes = floats(&[], &[("axis", dim as i64)]);
            match at + 1 == dims.len() {
                true => self.last(call, "Concat", attributes, parts),
                false => x = self.inner(call, "Concat", attributes, parts),
            }
        }
        Ok(())
    }

    fn pad(&mut self, call: &Call, base: &str) -> Result<()> {
        let source = call.needed("self")?;
        let rank = self.rank(&source)? as usize;
        let pads = match call.ints("pad")? {
            Some(pads) => pads,
            None => call.ints("padding")?.context("no padding")?,
        };
        ensure!(
            pads.len().is_multiple_of(2) && pads.len() / 2 <= rank,
            "invalid number of padding sizes: {}",
            pads.len()
        );
        // PyTorch lists the last dimension first.
        let mut both = vec![0; 2 * rank];
        for (i, pair) in pads.chunks_exact(2).enumerate() {
            (both[rank - 1 - i], both[2 * rank - 1 - i]) = (pair[0], pair[1]);
        }
        let mode = match (base, call.text("mode").unwrap_or("constant")) {
            ("reflection_pad2d", _) | (_, "reflect") => "reflect",
            ("replication_pad2d", _) | (_, "replicate") => "edge",
            (_, "circular") => "wrap",
            _ => "constant",
        };
        let (x, both) = (self.name(&source), self.integers(&both)?);
        let value = self.number(call.float("value", 0.0))?;
        self.last(call, "Pad", Attributes::default().with_text("mode", mode), vec![x, both, value]);
        Ok(())
    }

    fn upsample(&mut self, call: &Call, base: &str) -> Result<()> {
        let x = self.input(call, "input").or_else(|_| self.input(call, "self"))?;
        let shape = self.shape(&call.outputs[0])?;
        let sizes = self.integers(&shape)?;
        let antialias = base.ends_with("_aa");
        let (mode, coordinates) = match (base.contains("nearest"), call.bool("align_corners", false)) {
            (true, _) => ("nearest", "asymmetric"),
            (false, true) => (if base.contains("bicubic") { "cubic" } else { "linear" }, "align_corners"),
            (false, false) => (if base.contains("bicubic") { "cubic" } else { "linear" }, "pytorch_half_pixel"),
        };
        let cubic = if antialias { -0.5 } else { -0.75 };
        let attributes = floats(&[("cubic_coeff_a", cubic)], &[("antialias", i64::from(antialias))])
            .with_int("exclude_outside", i64::from(antialias))
            .with_text("mode", mode)
            .with_text("nearest_mode", "floor")
            .with_text("coordinate_transformation_mode", coordinates);
        self.last(call, "Resize", attributes, vec![x, String::new(), String::new(), sizes]);
        Ok(())
    }
}

/// The value of a size in SymPy's notation, such as `Mul(Integer(4), Symbol('s77', integer=True))`, where `free` is the expression for the
/// batch size; `None` if the expression contains anything other than products.
fn expression(text: &str, free: &str) -> Option<i64> {
    let text = text.trim();
    if !free.is_empty() && text == free {
        return Some(FREE_BATCH as i64);
    }
    if let Ok(n) = text.parse() {
        return Some(n);
    }
    let (name, inside) = text.split_once('(')?;
    let inside = inside.strip_suffix(')')?;
    match name {
        "Integer" => inside.parse().ok(),
        "Mul" => {
            // Arguments, split at the commas outside parentheses.
            let (mut depth, mut start, mut parts) = (0, 0, vec![]);
            for (at, c) in inside.char_indices() {
                match c {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    ',' if depth == 0 => {
                        parts.push(&inside[start..at]);
                        start = at + 1;
                    }
                    _ => {}
                }
            }
            parts.push(&inside[start..]);
            parts.into_iter().try_fold(1i64, |product, part| product.checked_mul(expression(part, free)?))
        }
        _ => None,
    }
}

/// Converts a dimension, which may be negative, to a nonnegative index.
fn wrapped(dim: i64, rank: usize) -> usize {
    if dim < 0 { (dim + rank as i64).max(0) as usize } else { dim as usize }
}

fn floats(floats: &[(&str, f64)], ints: &[(&str, i64)]) -> Attributes {
    let all = floats.iter().map(|(name, v)| (*name, Attribute::Float(*v)));
    let all: Vec<_> = all.chain(ints.iter().map(|(name, n)| (*name, Attribute::Int(*n)))).collect();
    Attributes::of(&all)
}

fn lists(lists: &[(&str, &[i64])]) -> Attributes {
    let list = |values: &[i64]| Attribute::List(values.iter().map(|&n| Attribute::Int(n)).collect());
    let all: Vec<_> = lists.iter().map(|(name, values)| (*name, list(values))).collect();
    Attributes::of(&all)
}
