//! Arguments of operations.

use std::fmt;

/// A named argument.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// PyTorch's name for it.
    pub name: &'static str,
    /// Its default value.
    pub default: DefaultValue,
    /// Whether scripts pass it by position instead of in the map of options.
    pub by_place: bool,
    /// What other libraries call it.
    pub aliases: &'static [&'static str],
}

/// The default value of an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DefaultValue {
    /// No default: the argument is required.
    Required,
    /// Absent by default.
    Absent,
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A string.
    Text(&'static str),
    /// The value of another argument.
    Same(&'static str),
}

impl Argument {
    /// A required positional argument.
    pub const fn required(name: &'static str) -> Self {
        Self { name, default: DefaultValue::Required, by_place: true, aliases: &[] }
    }

    /// An integer, or a `[height, width]` pair.
    pub const fn int(name: &'static str, default: i64) -> Self {
        Self { name, default: DefaultValue::Int(default), by_place: false, aliases: &[] }
    }

    /// A float.
    pub const fn float(name: &'static str, default: f64) -> Self {
        Self { name, default: DefaultValue::Float(default), by_place: false, aliases: &[] }
    }

    /// A boolean.
    pub const fn bool(name: &'static str, default: bool) -> Self {
        Self { name, default: DefaultValue::Bool(default), by_place: false, aliases: &[] }
    }

    /// A string.
    pub const fn text(name: &'static str, default: &'static str) -> Self {
        Self { name, default: DefaultValue::Text(default), by_place: false, aliases: &[] }
    }

    /// An argument that defaults to the value of another.
    pub const fn same(name: &'static str, other: &'static str) -> Self {
        Self { name, default: DefaultValue::Same(other), by_place: false, aliases: &[] }
    }

    /// An argument that may be absent.
    pub const fn optional(name: &'static str) -> Self {
        Self { name, default: DefaultValue::Absent, by_place: false, aliases: &[] }
    }

    /// The same argument with aliases.
    pub const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// The same argument, positional.
    pub const fn by_place(self) -> Self {
        Self { by_place: true, ..self }
    }
}

impl fmt::Display for DefaultValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required | Self::Absent => Ok(()),
            Self::Int(n) => write!(f, "{n}"),
            Self::Float(x) => write!(f, "{x:?}"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Same(other) => f.write_str(other),
        }
    }
}
