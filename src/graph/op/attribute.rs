//! Named arguments from which operations are built, taken from a script, a test case or an exported network.

use super::argument::{Argument, DefaultValue};
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fmt;

/// The maximum value of an argument that is a size or a count.
const LARGEST: i64 = 1 << 20;

/// The value of an argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Attribute>),
    /// A value of a type that no argument accepts, represented by the name of the type.
    Other(String),
}

impl Attribute {
    /// The value as a size, an integer from 0 to 2²⁰.
    pub fn size(&self) -> Result<usize> {
        let Self::Int(n) = self else { bail!("expected an integer, got {self}") };
        ensure!((0..=LARGEST).contains(n), "expected an integer from 0 to {LARGEST}, got {n}");
        Ok(*n as usize)
    }

    /// The value as `(height, width)`, from a single size for both or from `[height, width]`.
    pub fn pair(&self) -> Result<(usize, usize)> {
        match self {
            Self::Int(_) => self.size().map(|n| (n, n)),
            Self::List(sides) => match &sides[..] {
                [h, w] => Ok((h.size()?, w.size()?)),
                _ => bail!("expected one size or [height, width], got a list of length {}", sides.len()),
            },
            _ => bail!("expected a size or [height, width], got {self}"),
        }
    }

    /// The value as an integer.
    pub fn int(&self) -> Result<i64> {
        let Self::Int(n) = self else { bail!("expected an integer, got {self}") };
        Ok(*n)
    }

    /// The value as a finite number.
    pub fn float(&self) -> Result<f64> {
        let number = match self {
            Self::Int(n) => *n as f64,
            Self::Float(x) => *x,
            _ => bail!("expected a number, got {self}"),
        };
        ensure!(number.is_finite(), "expected a finite number, got {number}");
        Ok(number)
    }

    /// The value as a boolean.
    pub fn bool(&self) -> Result<bool> {
        let Self::Bool(b) = self else { bail!("expected true or false, got {self}") };
        Ok(*b)
    }

    /// The value as a string.
    pub fn text(&self) -> Result<&str> {
        let Self::Text(text) = self else { bail!("expected a string, got {self}") };
        Ok(text)
    }

    /// The value as a list.
    pub fn list(&self) -> Result<&[Self]> {
        let Self::List(items) = self else { bail!("expected a list [ … ], got {self}") };
        Ok(items)
    }
}

/// Formats a value for error messages: numbers, booleans and strings as literals, other values by the name of their type.
impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(n) => write!(f, "{n}"),
            Self::Float(x) => write!(f, "{x:?}"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Text(text) => write!(f, "\"{}\"", words::name(text)),
            Self::List(_) => f.write_str("a list"),
            Self::Other(kind) => f.write_str(kind),
        }
    }
}

/// The arguments of one operation, with defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Attributes {
    kind: &'static str,
    values: BTreeMap<&'static str, Attribute>,
}

impl Attributes {
    /// The arguments of an operation of the given kind, with defaults filled in.
    ///
    /// Errors if a name is unknown, suggesting the closest one, or a required argument is missing.
    pub fn new(
        kind: &'static str,
        arguments: &'static [Argument],
        given: impl IntoIterator<Item = (String, Attribute)>,
    ) -> Result<Self> {
        let mut values = BTreeMap::new();
        for (name, value) in given {
            let Some(argument) = arguments.iter().find(|a| a.name == name) else {
                return Err(unknown(kind, arguments, &name));
            };
            values.insert(argument.name, value);
        }
        for Argument { name, default, .. } in arguments {
            if values.contains_key(name) {
                continue;
            }
            let value = match default {
                DefaultValue::Required => bail!("{kind} needs \"{name}\""),
                DefaultValue::Absent => continue,
                DefaultValue::Int(n) => Attribute::Int(*n),
                DefaultValue::Float(x) => Attribute::Float(*x),
                DefaultValue::Bool(b) => Attribute::Bool(*b),
                DefaultValue::Text(text) => Attribute::Text((*text).into()),
                DefaultValue::Same(other) => {
                    values.get(other).cloned().with_context(|| format!("\"{other}\" is missing"))?
                }
            };
            values.insert(name, value);
        }
        Ok(Self { kind, values })
    }

    fn read<T>(&self, name: &str, read: impl Fn(&Attribute) -> Result<T>) -> Result<T> {
        let value = self.values.get(name).with_context(|| format!("{} has no argument \"{name}\"", self.kind))?;
        read(value).with_context(|| format!("\"{name}\" of {}", self.kind))
    }

    /// Whether the argument was given or has a default.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The argument as a size, an integer from 0 to 2²⁰.
    pub fn size(&self, name: &str) -> Result<usize> {
        self.read(name, Attribute::size)
    }

    /// The argument as a positive integer, at most 2²⁰.
    pub fn count(&self, name: &str) -> Result<usize> {
        let n = self.size(name)?;
        ensure!(n > 0, "{} needs a positive \"{name}\", got 0", self.kind);
        Ok(n)
    }

    /// The argument as `(height, width)`, from a single size for both or from `[height, width]`.
    pub fn pair(&self, name: &str) -> Result<(usize, usize)> {
        self.read(name, Attribute::pair)
    }

    /// The argument as an integer.
    pub fn int(&self, name: &str) -> Result<i64> {
        self.read(name, Attribute::int)
    }

    /// The argument as a finite number.
    pub fn float(&self, name: &str) -> Result<f64> {
        self.read(name, Attribute::float)
    }

    /// The argument as a boolean.
    pub fn bool(&self, name: &str) -> Result<bool> {
        self.read(name, Attribute::bool)
    }

    /// The argument as a string.
    pub fn text(&self, name: &str) -> Result<&str> {
        let value = self.values.get(name).with_context(|| format!("{} has no argument \"{name}\"", self.kind))?;
        value.text().with_context(|| format!("\"{name}\" of {}", self.kind))
    }

    /// The argument as a list of finite numbers.
    pub fn floats(&self, name: &str) -> Result<Vec<f64>> {
        self.read(name, |v| v.list()?.iter().map(Attribute::float).collect())
    }

    /// The argument as a list of sizes, with `None` for `-1`.
    pub fn open_sizes(&self, name: &str) -> Result<Vec<Option<usize>>> {
        let size = |v: &Attribute| if *v == Attribute::Int(-1) { Ok(None) } else { v.size().map(Some) };
        self.read(name, |v| v.list()?.iter().map(size).collect())
    }

    /// The argument as a list of sizes.
    pub fn sizes(&self, name: &str) -> Result<Vec<usize>> {
        self.read(name, |v| v.list()?.iter().map(Attribute::size).collect())
    }

    /// The argument, a dimension or a list of dimensions, as dimensions of a value of shape `shape`; negative ones count from the end. The
    /// batch dimension is not allowed.
    pub fn dims(&self, name: &str, shape: &[usize]) -> Result<Vec<usize>> {
        let one = |v: &Attribute| place(v.int()?, shape);
        let dims: Vec<_> = self.read(name, |v| match v {
            Attribute::List(dims) => dims.iter().map(one).collect(),
            dim => Ok(vec![one(dim)?]),
        })?;
        ensure!(!dims.contains(&0), "\"{name}\" must not include dimension 0 of {shape:?}, the batch dimension");
        let twice = (1..dims.len()).any(|i| dims[..i].contains(&dims[i]));
        ensure!(!twice, "\"{name}\" of {} lists a dimension twice: {dims:?}", self.kind);
        Ok(dims)
    }

    /// The argument as a dimension of a value of shape `shape`; negative values count from the end. The batch dimension is not allowed.
    pub fn inner_dim(&self, name: &str, shape: &[usize]) -> Result<usize> {
        let dim = self.dim(name, shape)?;
        ensure!(dim > 0, "\"{name}\" must not select dimension 0 of {shape:?}, the batch dimension");
        Ok(dim)
    }

    /// The argument as a dimension of a value of shape `shape`; negative values count from the end.
    pub fn dim(&self, name: &str, shape: &[usize]) -> Result<usize> {
        place(self.int(name)?, shape)
    }
}

fn place(dim: i64, shape: &[usize]) -> Result<usize> {
    let place = if dim < 0 { dim.saturating_add(shape.len() as i64) } else { dim };
    let place = usize::try_from(place).ok().filter(|&d| d < shape.len());
    place.with_context(|| format!("no dimension {dim} in shape {shape:?}"))
}

fn unknown(kind: &str, arguments: &[Argument], name: &str) -> anyhow::Error {
    let known = || arguments.iter().map(|a| a.name);
    let near = words::closest(name, known()).map(|k| format!("did you mean \"{k}\"? ")).unwrap_or_default();
    let all: Vec<_> = known().collect();
    let all = if all.is_empty() { "none".into() } else { all.join(", ") };
    anyhow::anyhow!("{} has no option \"{}\"; {near}available: {all}", kind, words::name(name))
}
