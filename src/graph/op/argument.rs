//! Arguments of operations.

use std::fmt;

/// A named argument of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// PyTorch's name for the argument.
    pub name: &'static str,
    /// The argument's default value.
    pub default: DefaultValue,
    /// Whether scripts pass the argument by position instead of in the map of options.
    pub by_place: bool,
    /// Names of the argument in other libraries.
    pub aliases: &'static [&'static str],
}

/// The default value of an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DefaultValue {
    /// No default: the argument is required.
    Required,
    /// The argument is optional and absent by default.
    Absent,
    /// The default is an integer.
    Int(i64),
    /// The default is a float.
    Float(f64),
    /// The default is a boolean.
    Bool(bool),
    /// The default is a string.
    Text(&'static str),
    /// The default is the value of another argument, given by name.
    Same(&'static str),
}

impl Argument {
    /// A required positional argument.
    pub const fn required(name: &'static str) -> Self {
        Self { name, default: DefaultValue::Required, by_place: true, aliases: &[] }
    }

    /// An integer option, or a `[height, width]` pair, with a default.
    pub const fn int(name: &'static str, default: i64) -> Self {
        Self { name, default: DefaultValue::Int(default), by_place: false, aliases: &[] }
    }

    /// A float option with a default.
    pub const fn float(name: &'static str, default: f64) -> Self {
        Self { name, default: DefaultValue::Float(default), by_place: false, aliases: &[] }
    }

    /// A boolean option with a default.
    pub const fn bool(name: &'static str, default: bool) -> Self {
        Self { name, default: DefaultValue::Bool(default), by_place: false, aliases: &[] }
    }

    /// A string option with a default.
    pub const fn text(name: &'static str, default: &'static str) -> Self {
        Self { name, default: DefaultValue::Text(default), by_place: false, aliases: &[] }
    }

    /// An option that defaults to the value of another argument.
    pub const fn same(name: &'static str, other: &'static str) -> Self {
        Self { name, default: DefaultValue::Same(other), by_place: false, aliases: &[] }
    }

    /// An option that may be absent.
    pub const fn optional(name: &'static str) -> Self {
        Self { name, default: DefaultValue::Absent, by_place: false, aliases: &[] }
    }

    /// The same argument with these aliases.
    pub const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// The same argument, passed by position.
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
