//! The program in an ONNX file: its operators, the constants they read, and its inputs and outputs.

use super::proto::attribute_proto::AttributeType;
use super::proto::tensor_shape_proto::dimension::Value as Size;
use super::proto::{AttributeProto, ModelProto, NodeProto, ValueInfoProto, type_proto};
use super::tensor;
use crate::graph::op::Attribute;
use crate::model::import::{joined, module_of};
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use candle_core::Tensor;
use prost::Message;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// The program in an ONNX file.
pub struct Program {
    /// The opset version.
    pub opset: i64,
    /// The operators that the outputs depend on, in topological order.
    pub nodes: Vec<Node>,
    /// Constants by name.
    pub constants: HashMap<String, Tensor>,
    /// The inputs that are not constants.
    pub inputs: Vec<Input>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// The metadata of the file.
    pub metadata: BTreeMap<String, String>,
}

/// An input of a program.
pub struct Input {
    pub name: String,
    /// The size of each dimension of the input; `None` for a dynamic dimension.
    pub shape: Vec<Option<usize>>,
}

/// An operator of a program.
#[derive(Clone, Debug)]
pub struct Node {
    /// The operator's type, such as `Conv`; outside the standard domain, it includes the domain.
    pub op: String,
    pub attributes: Attributes,
    /// Names of the operator's inputs; an omitted input has an empty name.
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    /// The path of the PyTorch module that the operator belongs to; empty if unknown.
    pub module: String,
    /// The name of the node in the file.
    pub name: String,
}

/// The attributes of an operator.
#[derive(Clone, Debug, Default)]
pub struct Attributes(Vec<AttributeProto>);

impl Program {
    /// Decodes a file. `folder` holds files with external data.
    ///
    /// Errors if the file is damaged or uses unsupported features, such as sparse weights.
    pub fn decode(bytes: Vec<u8>, folder: Option<&Path>) -> Result<Self> {
        let model = ModelProto::decode(Bytes::from(bytes)).context("the file is not an ONNX file, or it is damaged")?;
        let graph = model.graph.context("the file has no graph")?;
        let own = |domain: &str| domain.is_empty() || domain == "ai.onnx";
        let opset = model.opset_import.iter().find(|set| own(set.domain())).map_or(1, |set| set.version());
        let mut constants = HashMap::new();
        ensure!(graph.sparse_initializer.is_empty(), "sparse weights are not supported");
        for initializer in &graph.initializer {
            constants.insert(initializer.name().to_string(), tensor::read(initializer, folder)?);
        }
        let free = |input: &&ValueInfoProto| !constants.contains_key(input.name());
        let inputs = graph.input.iter().filter(free).map(input).collect::<Result<Vec<_>>>()?;
        let outputs: Vec<_> = graph.output.iter().map(|output| output.name().to_string()).collect();
        ensure!(!outputs.is_empty(), "the graph has no outputs");
        let mut nodes = vec![];
        for node in graph.node {
            nodes.push(Node::read(node)?);
        }
        let nodes = needed(nodes, &outputs)?;
        let entry = |e: super::proto::StringStringEntryProto| (e.key.unwrap_or_default(), e.value.unwrap_or_default());
        let metadata = model.metadata_props.into_iter().map(entry).collect();
        Ok(Self { opset, nodes, constants, inputs, outputs, metadata })
    }

    /// Removes the operators and inputs that the outputs do not depend on.
    pub fn prune(&mut self) {
        let nodes = std::mem::take(&mut self.nodes);
        self.nodes = needed(nodes, &self.outputs).unwrap_or_default();
        let read: HashSet<_> = self.nodes.iter().flat_map(|node| &node.inputs).chain(&self.outputs).collect();
        self.inputs.retain(|input| read.contains(&input.name));
    }

    /// For each value, the number of operators and outputs that read it.
    pub fn uses(&self) -> HashMap<&str, usize> {
        let mut uses = HashMap::new();
        let all = self.nodes.iter().flat_map(|node| &node.inputs).chain(&self.outputs);
        all.for_each(|name| *uses.entry(name.as_str()).or_default() += 1);
        uses
    }
}

/// The operators that the outputs depend on. Errors if two operators compute the same value.
fn needed(nodes: Vec<Node>, outputs: &[String]) -> Result<Vec<Node>> {
    let mut computed = HashSet::new();
    for node in &nodes {
        for output in node.outputs.iter().filter(|name| !name.is_empty()) {
            ensure!(computed.insert(output.as_str()), "the value \"{}\" is computed twice", words::name(output));
        }
    }
    let mut wanted: HashSet<&str> = outputs.iter().map(String::as_str).collect();
    let mut keep = vec![false; nodes.len()];
    for (at, node) in nodes.iter().enumerate().rev() {
        if node.outputs.iter().any(|name| wanted.contains(name.as_str())) {
            keep[at] = true;
            wanted.extend(node.inputs.iter().map(String::as_str));
        }
    }
    Ok(nodes.into_iter().zip(keep).filter_map(|(node, keep)| keep.then_some(node)).collect())
}

/// Reads the name and the shape of an input.
fn input(info: &ValueInfoProto) -> Result<Input> {
    let kind = info.r#type.as_ref().and_then(|t| t.value.as_ref());
    let Some(type_proto::Value::TensorType(tensor)) = kind else {
        bail!("the input \"{}\" is not a tensor", words::name(info.name()));
    };
    let dims = tensor.shape.as_ref().map(|shape| shape.dim.as_slice()).unwrap_or_default();
    let size = |value: &Option<Size>| match value {
        Some(Size::DimValue(n)) => usize::try_from(*n).ok().filter(|&n| n > 0),
        _ => None,
    };
    Ok(Input { name: info.name().into(), shape: dims.iter().map(|dim| size(&dim.value)).collect() })
}

impl Node {
    /// Whether the operator returns the shape of a value, which does not depend on the picture.
    pub fn is_shape(&self) -> bool {
        self.op == "Shape" || self.op == "Size"
    }

    fn read(node: NodeProto) -> Result<Self> {
        let op = match node.domain() {
            "" | "ai.onnx" => node.op_type().to_string(),
            domain => format!("{domain}.{}", node.op_type()),
        };
        let module = module(&node);
        let name = node.name.unwrap_or_default();
        let attributes = Attributes(node.attribute);
        Ok(Self { op, attributes, inputs: node.input, outputs: node.output, module, name })
    }

    /// The unsupported variant of the operator that this node uses, if any.
    pub fn unsupported(&self) -> Option<&'static str> {
        let several = self.outputs.iter().skip(1).any(|name| !name.is_empty());
        let dilated = self.attributes.ints("dilations").is_some_and(|all| all.iter().any(|&d| d != 1));
        let cropped = self.attributes.text("coordinate_transformation_mode", "") == "tf_crop_and_resize";
        let solid = self.attributes.ints("kernel_shape").is_some_and(|kernel| kernel.len() > 2);
        match self.op.as_str() {
            _ if solid => Some("three dimensions"),
            "MaxPool" if several => Some("indices"),
            "AveragePool" if dilated => Some("dilations"),
            "Resize" if cropped => Some("tf_crop_and_resize"),
            _ => None,
        }
    }

    /// The node's name, or the name of its first output if the node has none.
    pub fn shown(&self) -> String {
        let name = if self.name.is_empty() { self.outputs.first().map_or("", String::as_str) } else { &self.name };
        words::name(name).into_owned()
    }
}

/// The path of the PyTorch module that a node belongs to. PyTorch's exporters store it in the node's metadata or its name
/// (`/layer1/layer1.0/conv1/Conv`).
fn module(node: &NodeProto) -> String {
    if let Some(scopes) = node.metadata_props.iter().find(|e| e.key() == "pkg.torch.onnx.name_scopes") {
        // A Python list of strings, the last of which is the node itself.
        let mut scopes: Vec<_> = scopes.value().split(['\'', '"']).skip(1).step_by(2).collect();
        scopes.pop();
        return joined(scopes);
    }
    let mut scopes: Vec<_> = node.name().strip_prefix('/').unwrap_or_default().split('/').collect();
    scopes.pop();
    joined(scopes)
}

impl Attributes {
    /// Creates attributes from names and values. Only integers, floats, strings and lists of integers are supported.
    pub fn of(arguments: &[(&str, Attribute)]) -> Self {
        let attribute = |(name, value): &(&str, Attribute)| {
            let (i, f, s, kind) = match value {
                Attribute::List(items) => {
                    let ints = items.iter().filter_map(|item| item.int().ok()).collect();
                    let kind = Some(AttributeType::Ints.into());
                    return AttributeProto {
                        name: Some((*name).into()),
                        ints,
                        r#type: kind,
                        ..AttributeProto::default()
                    };
                }
                Attribute::Int(n) => (Some(*n), None, None, AttributeType::Int),
                Attribute::Float(x) => (None, Some(*x as f32), None, AttributeType::Float),
                Attribute::Text(text) => (None, None, Some(Bytes::from(text.clone())), AttributeType::String),
                _ => return AttributeProto::default(),
            };
            AttributeProto {
                name: Some((*name).into()),
                i,
                f,
                s,
                r#type: Some(kind.into()),
                ..AttributeProto::default()
            }
        };
        Self(arguments.iter().map(attribute).collect())
    }

    /// Appends the attributes in `other`.
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Appends an integer attribute.
    pub fn with_int(self, name: &str, value: i64) -> Self {
        self.and(Self::of(&[(name, Attribute::Int(value))]))
    }

    /// Appends a string attribute.
    pub fn with_text(self, name: &str, value: &str) -> Self {
        self.and(Self::of(&[(name, Attribute::Text(value.into()))]))
    }

    fn get(&self, name: &str) -> Option<&AttributeProto> {
        self.0.iter().find(|a| a.name() == name)
    }

    /// The value of an integer attribute, or `default` if it is absent.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.get(name).and_then(|a| a.i).unwrap_or(default)
    }

    /// The value of a float attribute, or `default` if it is absent.
    pub fn float(&self, name: &str, default: f64) -> f64 {
        self.get(name).and_then(|a| a.f).map_or(default, decimal)
    }

    /// The value of a string attribute, or `default` if it is absent.
    pub fn text(&self, name: &str, default: &str) -> String {
        let bytes = self.get(name).and_then(|a| a.s.as_ref());
        bytes.map_or_else(|| default.into(), |bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The value of an attribute that is a list of floats; `None` if it is absent.
    pub fn floats(&self, name: &str) -> Option<Vec<f64>> {
        self.get(name).filter(|a| !a.floats.is_empty()).map(|a| a.floats.iter().map(|&f| decimal(f)).collect())
    }

    /// The value of an attribute that is a list of integers; `None` if it is absent.
    pub fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.get(name).map(|a| a.ints.clone())
    }

    /// The value of the attribute `name`, converted to an argument of an operation.
    pub fn argument(&self, name: &str) -> Option<Attribute> {
        use Attribute::{Float, Int, Text};
        let a = self.get(name)?;
        match a.r#type() {
            AttributeType::Float => Some(Float(decimal(a.f()))),
            AttributeType::Int => Some(Int(a.i())),
            AttributeType::String => Some(Text(self.text(name, ""))),
            _ => None,
        }
    }

    /// The value of a `Constant` operator.
    pub fn constant(&self) -> Result<Tensor> {
        let cpu = &candle_core::Device::Cpu;
        for a in &self.0 {
            return Ok(match a.name() {
                "value" => tensor::read(a.t.as_ref().context("a constant has no value")?, None)?,
                "value_int" => Tensor::new(a.i(), cpu)?,
                "value_float" => Tensor::new(a.f(), cpu)?,
                "value_ints" => Tensor::new(a.ints.as_slice(), cpu)?,
                "value_floats" => Tensor::new(a.floats.as_slice(), cpu)?,
                _ => continue,
            });
        }
        bail!("the value of a constant must be a tensor or numbers")
    }

    /// The value of a tensor attribute; `None` if it is absent.
    pub fn tensor(&self, name: &str) -> Result<Option<Tensor>> {
        self.get(name).and_then(|a| a.t.as_ref()).map(|t| tensor::read(t, None)).transpose()
    }
}

/// Converts an f32 to the shortest decimal that rounds to it, so that an attribute of 1e-5 is also 1e-5 in f64.
fn decimal(x: f32) -> f64 {
    x.to_string().parse().unwrap_or_else(|_| x.into())
}

impl Program {
    /// The label of a node: the path of its module or, if unknown, of the module whose weight it reads.
    pub fn label(&self, node: &Node) -> String {
        let weight = node.inputs.iter().skip(1).find_map(|name| module_of(name));
        // Weights shared by modules, and equal weights merged by an exporter, may be named after another module.
        let own = |weight: &&str| weight.starts_with(&node.module);
        weight.filter(own).map_or_else(|| node.module.clone(), String::from)
    }
}
