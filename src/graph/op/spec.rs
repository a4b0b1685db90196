//! What is known of a kind of operation besides how to compute it. Builder functions of architectures, selectors, importers,
//! documentation and tests are derived from it.

use super::argument::{Argument, DefaultValue};
use super::attribute::{Attribute, Attributes};
use super::draw::Draw;
use super::operation::Op;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A kind of operation.
pub struct OpSpec {
    /// What scripts and selectors call it: `conv`.
    pub kind: &'static str,
    /// What it does, roughly; selectors know families, too.
    pub family: Family,
    /// PyTorch's module or function: `Conv2d`.
    pub torch: &'static str,
    /// What has to be said besides, for documentation.
    pub note: &'static str,
    /// ONNX operators: `Conv`.
    pub onnx: &'static [&'static str],
    /// ATen operators, as `torch.export` names them: `conv2d.default`.
    pub aten: &'static [&'static str],
    /// What else it is called by libraries and papers.
    pub aliases: &'static [&'static str],
    /// Which values it reads.
    pub inputs: Inputs,
    /// What it is built from: first what scripts give by place, then the options.
    pub arguments: &'static [Argument],
    /// Builds one that reads values of these shapes, `(1, …)` each.
    pub build: Build,
    /// The arguments that the shapes of its parameters tell, as a state dict has them; none: no shape tells any.
    pub from_shapes: Option<FromShapes>,
    /// What becomes of relevance where no rule is given.
    pub relevance: DefaultRule,
    /// Draws a test case.
    pub draw: fn(&mut Draw) -> Case,
}

/// Shapes of a layer's parameters: `weight`, `bias`, …
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// From arguments and the shapes of what is read to an operation.
pub type Build = fn(&Attributes, &[&[usize]]) -> Result<Arc<dyn Op>>;

/// From the shapes of parameters to arguments.
pub type FromShapes = fn(&Shapes) -> Result<Vec<(&'static str, Attribute)>>;

/// What operations have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Where values enter: the input, parameters, constants.
    Input,
    /// Sums of products with weights: convolutions and `linear`. zennit's `AnyLinear`.
    AnyLinear,
    /// Normalizations.
    Norm,
    /// Functions of each number alone.
    Activation,
    /// Windows to their mean or maximum.
    Pool,
    /// Arithmetic of several values.
    Elementwise,
    /// What moves numbers and changes none.
    Shape,
    /// Scores to probabilities.
    Softmax,
    /// What only training changes.
    Dropout,
}

impl Family {
    /// All of them.
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

    /// As selectors write it.
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

/// The values that an operation reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// None: the input itself.
    None,
    /// None: a value beside the input, the same for all of a batch. Scripts write it behind any node of the network.
    Beside,
    /// One.
    One,
    /// Two or more: `x.add("name", y)`.
    Two,
    /// A list: `concat("name", [x, y])`.
    Many,
}

/// One operation with the shapes of what it reads.
#[derive(Clone, Debug)]
pub struct Case {
    /// The operation.
    pub op: Arc<dyn Op>,
    /// `(N, …)` of each input.
    pub inputs: Vec<Vec<usize>>,
}

impl Case {
    /// A case of these shapes.
    pub fn new(op: impl Op + 'static, inputs: &[&[usize]]) -> Self {
        Self { op: Arc::new(op), inputs: inputs.iter().map(|s| s.to_vec()).collect() }
    }
}

/// What becomes of relevance at an operation for which a composite has no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultRule {
    /// It goes on as it is: LRP's identity rule.
    Pass,
    /// The inputs share it by what each contributed: LRP-ε.
    Share,
    /// It follows the numbers that are moved or chosen: the gradient conserves it.
    Move,
    /// None of these conserves it: a composite needs a rule. Without one it goes where the gradient goes.
    Gradient,
}

/// The sizes of a weight, as many as its kind has.
pub(super) fn weight<const N: usize>(shapes: &Shapes) -> Result<[usize; N]> {
    let sizes = shapes.get("weight").context("it has no weight")?;
    let count = sizes.len();
    sizes[..].try_into().with_context(|| format!("its weight has {count} dimensions instead of {N}"))
}

/// A height and a width.
pub(super) fn pair(h: usize, w: usize) -> Attribute {
    Attribute::List(vec![Attribute::Int(h as i64), Attribute::Int(w as i64)])
}

impl OpSpec {
    /// All its names: the kind, PyTorch's, ONNX's, ATen's and others.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let aten = self.aten.iter().map(|name| name.split('.').next().unwrap_or_default().trim_matches('_'));
        let torch = Some(self.torch).filter(|name| name.chars().all(char::is_alphanumeric) && !name.is_empty());
        let all = std::iter::once(self.kind).chain(torch).chain(self.onnx.iter().copied()).chain(aten);
        all.chain(self.aliases.iter().copied())
    }

    /// The arguments that scripts give by place.
    pub fn positional(&self) -> &'static [Argument] {
        &self.arguments[..self.arguments.iter().take_while(|a| a.by_place).count()]
    }

    /// The arguments that scripts give in a map.
    pub fn options(&self) -> &'static [Argument] {
        &self.arguments[self.positional().len()..]
    }

    /// Builds one that reads values of these shapes, from named arguments.
    ///
    /// Errors name the argument that is missing, unknown or of another type.
    pub fn build(
        &'static self,
        given: impl IntoIterator<Item = (String, Attribute)>,
        x: &[&[usize]],
    ) -> Result<Arc<dyn Op>> {
        (self.build)(&Attributes::new(self.kind, self.arguments, given)?, x)
    }

    /// How a script calls it: `x.conv(name, out_channels, kernel_size, #{})`.
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

/// The table of all operations that scripts can build, in Markdown: how they are called, PyTorch's name, options, ONNX's names.
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
