//! Descriptions of the kinds of operations. Scripts' builder functions, selectors, importers, documentation and tests are derived
//! from them.

use super::argument::{Argument, DefaultValue};
use super::attribute::{Attribute, Attributes};
use super::draw::Draw;
use super::operation::Op;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The description of a kind of operation.
pub struct OpSpec {
    /// The kind's name in scripts and selectors, such as `conv`.
    pub kind: &'static str,
    /// The family of the kind; selectors accept its name too.
    pub family: Family,
    /// PyTorch's module or function, such as `Conv2d`.
    pub torch: &'static str,
    /// A remark shown in the documentation of the operation.
    pub note: &'static str,
    /// ONNX operators, such as `Conv`.
    pub onnx: &'static [&'static str],
    /// ATen operators by their names in `torch.export`, such as `conv2d.default`.
    pub aten: &'static [&'static str],
    /// Other names of the operation in libraries and papers.
    pub aliases: &'static [&'static str],
    /// The inputs that the operation takes.
    pub inputs: Inputs,
    /// The operation's arguments: positional ones first, then options.
    pub arguments: &'static [Argument],
    /// Builds an operation from arguments and the shapes of its inputs, each of the form `(1, …)`.
    pub build: Build,
    /// Infers arguments from the shapes of the layer's parameters, as in a state dict; `None` if the shapes determine no
    /// argument.
    pub from_shapes: Option<FromShapes>,
    /// How relevance propagates through the operation if the composite has no rule for it.
    pub relevance: DefaultRule,
    /// Draws a random test case.
    pub draw: fn(&mut Draw) -> Case,
}

/// Shapes of a layer's parameters, by name (`weight`, `bias` and so on).
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// Builds an operation from arguments and the shapes of its inputs.
pub type Build = fn(&Attributes, &[&[usize]]) -> Result<Arc<dyn Op>>;

/// Infers arguments from the shapes of a layer's parameters.
pub type FromShapes = fn(&Shapes) -> Result<Vec<(&'static str, Attribute)>>;

/// Families of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Nodes without inputs: the network's input, parameters and constants.
    Input,
    /// Convolutions, transposed convolutions and linear layers; zennit's `AnyLinear`.
    AnyLinear,
    /// Normalizations.
    Norm,
    /// Elementwise functions of one input.
    Activation,
    /// Pooling.
    Pool,
    /// Arithmetic, such as sums, products and matrix products.
    Elementwise,
    /// Operations that rearrange, select, repeat, pad or resize elements.
    Shape,
    /// Softmax and log-softmax.
    Softmax,
    /// Operations that act only in training.
    Dropout,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 9] = [
        Self::Input,
        Self::AnyLinear,
        Self::Norm,
        Self::Activation,
        Self::Pool,
        Self::Elementwise,
        Self::Shape,
        Self::Softmax,
        Self::Dropout,
    ];

    /// The family's name in selectors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::AnyLinear => "any_linear",
            Self::Norm => "norm",
            Self::Activation => "activation",
            Self::Pool => "pool",
            Self::Elementwise => "elementwise",
            Self::Shape => "shape",
            Self::Softmax => "any_softmax",
            Self::Dropout => "any_dropout",
        }
    }
}

/// The number of inputs of an operation, and the form of its call in scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// No inputs: the network's input node.
    None,
    /// No inputs: a parameter or constant, the same for the whole batch. Scripts write `x.constant("name", …)` with any node
    /// `x` of the network.
    Beside,
    /// One input.
    One,
    /// Two or more inputs, passed as `x.add("name", y)`.
    Two,
    /// A list of inputs, passed as `concat("name", [x, y])`.
    Many,
}

/// A test case: an operation and the shapes of its inputs.
#[derive(Clone, Debug)]
pub struct Case {
    /// The operation to test.
    pub op: Arc<dyn Op>,
    /// The shape `(N, …)` of each input.
    pub inputs: Vec<Vec<usize>>,
    /// The plain definition of an elementwise function, against which tests check the operation.
    pub definition: Option<fn(f64) -> f64>,
}

impl Case {
    /// A test case with the given input shapes.
    pub fn new(op: impl Op + 'static, inputs: &[&[usize]]) -> Self {
        Self { op: Arc::new(op), inputs: inputs.iter().map(|s| s.to_vec()).collect(), definition: None }
    }

    /// A test case of an elementwise function of one input, a random map, with the function's plain definition.
    pub fn elementwise(op: impl Op + 'static, d: &mut Draw, definition: fn(f64) -> f64) -> Self {
        Self { definition: Some(definition), ..Self::new(op, &[&d.map()]) }
    }
}

/// How relevance propagates through an operation for which a composite has no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultRule {
    /// Unchanged, as in LRP's identity rule.
    Pass,
    /// In proportion to each input's contribution, as in LRP-ε.
    Share,
    /// As in LRP-ε, with the standard deviation held constant.
    Normalize,
    /// To the factors of a product except for its gates, which are held constant.
    Product,
    /// To the factors of a matrix product in equal parts.
    Bilinear,
    /// By the Taylor expansion of softmax.
    Softmax,
    /// Along with the elements that are moved or selected, like a gradient, which conserves relevance here.
    Move,
    /// Like a gradient, which does not conserve relevance, so the composite needs a rule.
    Gradient,
}

/// The sizes of the parameter `weight`; errors if it is missing or does not have rank `N`.
pub(super) fn weight<const N: usize>(shapes: &Shapes) -> Result<[usize; N]> {
    let sizes = shapes.get("weight").context("the layer has no parameter \"weight\"")?;
    let count = sizes.len();
    sizes[..].try_into().with_context(|| format!("expects a weight of rank {N}, got rank {count}"))
}

/// The attribute `[height, width]`.
pub(super) fn pair(h: usize, w: usize) -> Attribute {
    Attribute::List(vec![Attribute::Int(h as i64), Attribute::Int(w as i64)])
}

impl OpSpec {
    /// All names of the kind: its own, and those in PyTorch, ONNX, ATen and elsewhere.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let aten = self.aten.iter().map(|name| name.split('.').next().unwrap_or_default().trim_matches('_'));
        let torch = Some(self.torch).filter(|name| name.chars().all(char::is_alphanumeric) && !name.is_empty());
        let all = std::iter::once(self.kind).chain(torch).chain(self.onnx.iter().copied()).chain(aten);
        all.chain(self.aliases.iter().copied())
    }

    /// Whether the operation only rearranges one value, such as a reshape or a permutation, or has the same value for every picture, such
    /// as a constant or a position embedding. Lists of layers hide such operations at first.
    pub fn is_shape_arithmetic(&self) -> bool {
        let moves = self.family == Family::Shape && self.inputs == Inputs::One;
        moves || self.inputs == Inputs::Beside
    }

    /// The arguments that scripts pass by position.
    pub fn positional(&self) -> &'static [Argument] {
        &self.arguments[..self.arguments.iter().take_while(|a| a.by_place).count()]
    }

    /// The arguments that scripts pass in a map of options.
    pub fn options(&self) -> &'static [Argument] {
        &self.arguments[self.positional().len()..]
    }

    /// Builds an operation from named arguments, for inputs of the given shapes.
    ///
    /// Errors if an argument is missing, unknown or of the wrong type.
    pub fn build(
        &'static self,
        given: impl IntoIterator<Item = (String, Attribute)>,
        x: &[&[usize]],
    ) -> Result<Arc<dyn Op>> {
        (self.build)(&Attributes::new(self.kind, self.arguments, given)?, x)
    }

    /// The signature in scripts, such as `x.conv(name, out_channels, kernel_size, #{})`.
    pub fn call(&self) -> String {
        let first = match self.inputs {
            Inputs::Many => vec!["name", "[x, y]"],
            Inputs::Two => vec!["name", "y"],
            _ => vec!["name"],
        };
        let options = if self.options().is_empty() { None } else { Some("#{}") };
        let all: Vec<_> = first.into_iter().chain(self.positional().iter().map(|a| a.name)).chain(options).collect();
        let x = if self.inputs == Inputs::Many { "" } else { "x." };
        format!("{x}{}({})", self.kind, all.join(", "))
    }
}

impl fmt::Debug for OpSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpSpec({})", self.kind)
    }
}

/// A Markdown table of the operations that scripts can build, with their signature, PyTorch name, options, family and ONNX names.
pub fn table(specs: &[&OpSpec]) -> String {
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    let option = |a: &Argument| match a.default {
        DefaultValue::Required | DefaultValue::Absent => code(a.name),
        default => format!("`{}` {default}", a.name),
    };
    let row = |spec: &&OpSpec| {
        let optional = |a: &&Argument| a.default != DefaultValue::Required;
        let options: Vec<_> = spec.arguments.iter().filter(optional).map(option).collect();
        let note = if spec.note.is_empty() { String::new() } else { format!(": {}", spec.note) };
        let onnx: Vec<_> = spec.onnx.iter().map(|name| code(name)).collect();
        let (call, torch, family) = (code(&spec.call()), code(spec.torch), spec.family.name());
        format!("| {call} | {torch}{note} | {} | {family} | {} |\n", options.join(", "), onnx.join(", "))
    };
    let head = "| function | PyTorch | options | family | ONNX |\n| --- | --- | --- | --- | --- |\n";
    let rows = specs.iter().filter(|spec| spec.inputs != Inputs::None).map(row);
    std::iter::once(head.to_string()).chain(rows).collect()
}
