//! Arguments of operations.

use std::fmt;

/// A named argument.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// PyTorch's name for it.
    pub name: &'static str,
    /// Its value where none is given.
    pub default: DefaultValue,
    /// Whether scripts give it by place rather than in the map of options.
    pub by_place: bool,
    /// What else libraries call it.
    pub aliases: &'static [&'static str],
}

/// The value of an argument that was not given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DefaultValue {
    /// It has to be given.
    Required,
    /// There is none.
    Absent,
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A switch.
    Bool(bool),
    /// Text.
    Text(&'static str),
    /// The value of another argument.
    Same(&'static str),
}

impl Argument {
    /// One that has to be given, by place.
    pub const fn required(name: &'static str) -> Self {
        Self { name, default: DefaultValue::Required, by_place: true, aliases: &[] }
    }

    /// A whole number, or a pair of one for height and width.
    pub const fn int(name: &'static str, default: i64) -> Self {
        Self { name, default: DefaultValue::Int(default), by_place: false, aliases: &[] }
    }

    /// A number.
    pub const fn float(name: &'static str, default: f64) -> Self {
        Self { name, default: DefaultValue::Float(default), by_place: false, aliases: &[] }
    }

    /// `true` or `false`.
    pub const fn bool(name: &'static str, default: bool) -> Self {
        Self { name, default: DefaultValue::Bool(default), by_place: false, aliases: &[] }
    }

    /// Text.
    pub const fn text(name: &'static str, default: &'static str) -> Self {
        Self { name, default: DefaultValue::Text(default), by_place: false, aliases: &[] }
    }

    /// One whose default is the value of another.
    pub const fn same(name: &'static str, other: &'static str) -> Self {
        Self { name, default: DefaultValue::Same(other), by_place: false, aliases: &[] }
    }

    /// One that may be absent.
    pub const fn optional(name: &'static str) -> Self {
        Self { name, default: DefaultValue::Absent, by_place: false, aliases: &[] }
    }

    /// The same, under other names too.
    pub const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// The same, given by place.
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
