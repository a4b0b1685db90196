//! Option maps in scripts' function calls and model cards, checked for unknown keys and wrong types.

use crate::graph::op::Attribute;
use crate::script::report::closest;
use crate::script::sandbox::bounded_text::text as text_of;
use anyhow::{Context, Result, bail};
use rhai::{Dynamic, INT, Map};

/// A map of options passed to a function, whose keys have been checked.
pub(crate) struct CallOptions {
    what: &'static str,
    map: Map,
}

impl CallOptions {
    /// Checks the options passed to `what`. Errors if a key is not in `known`. The message suggests the closest known key.
    pub(crate) fn new(what: &'static str, map: Map, known: &[&str]) -> Result<Self> {
        for key in map.keys() {
            if !known.contains(&key.as_str()) {
                let near = closest(key, known.iter().copied()).map(|k| format!("did you mean \"{k}\"? "));
                let near = near.unwrap_or_default();
                bail!("{what} has no option \"{key}\"; {near}available: {}", known.join(", "));
            }
        }
        Ok(Self { what, map })
    }

    /// Checks a value that must be a map of options; see [`new`](Self::new).
    pub(crate) fn of_map(what: &'static str, value: &Dynamic, known: &[&str]) -> Result<Self> {
        let map = value.read_lock::<Map>().with_context(|| format!("{what} must be a map of {}", known.join(", ")))?;
        Self::new(what, map.clone(), known)
    }

    /// The option `key` as a string. Errors if it is absent.
    pub(crate) fn one_text(&self, key: &str) -> Result<String> {
        let value = self.raw(key).with_context(|| format!("{} needs `{key}`", self.what))?;
        text(value).with_context(|| format!("option \"{key}\" of {}", self.what))
    }

    /// The value of an option as converted by `read`, or `default` if the key is absent.
    fn read<T>(&self, key: &str, default: T, read: impl Fn(&Dynamic) -> Result<T>) -> Result<T> {
        match self.map.get(key) {
            None => Ok(default),
            Some(value) => read(value).with_context(|| format!("option \"{key}\" of {}", self.what)),
        }
    }

    /// Whether the option `key` is present.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// The option `key` as an integer from 0 to 2²⁰, or `default` if it is absent.
    pub(crate) fn size(&self, key: &str, default: usize) -> Result<usize> {
        self.read(key, default, size)
    }

    /// The option `key` as an integer, or `default` if it is absent.
    pub(crate) fn whole(&self, key: &str, default: INT) -> Result<INT> {
        self.read(key, default, |v| attribute(v).int())
    }

    /// The option `key` as a finite number, or `default` if it is absent.
    pub(crate) fn number(&self, key: &str, default: f64) -> Result<f64> {
        self.read(key, default, number)
    }

    /// The option `key` as a boolean, or `default` if it is absent.
    pub(crate) fn switch(&self, key: &str, default: bool) -> Result<bool> {
        self.read(key, default, |v| attribute(v).bool())
    }

    /// The option `key` as a list of numbers; empty if it is absent.
    pub(crate) fn numbers(&self, key: &str) -> Result<Vec<f64>> {
        self.read(key, vec![], |v| attribute(v).list()?.iter().map(Attribute::float).collect())
    }

    /// The option `key` as a list of integers from 0 to 2²⁰; empty if it is absent.
    pub(crate) fn sizes(&self, key: &str) -> Result<Vec<usize>> {
        self.read(key, vec![], sizes)
    }

    /// The option `key` as a list of strings; empty if it is absent.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>> {
        self.read(key, vec![], |v| attribute(v).list()?.iter().map(|t| t.text().map(String::from)).collect())
    }

    /// The option `key`, which must be one of `words`; the first word if the option is absent.
    pub(crate) fn one_of(&self, key: &str, words: &[&'static str]) -> Result<&'static str> {
        self.read(key, words[0], |v| {
            let word = words.iter().find(|w| v.is_string() && **w == v.to_string());
            word.copied().with_context(|| format!("expected one of \"{}\", got {}", words.join("\", \""), attribute(v)))
        })
    }

    /// The value of the option `key` without any conversion; `None` if it is absent.
    pub(crate) fn raw(&self, key: &str) -> Option<&Dynamic> {
        self.map.get(key)
    }
}

/// Converts a script value to an attribute of an operation.
pub(crate) fn attribute(value: &Dynamic) -> Attribute {
    if let Ok(n) = value.as_int() {
        Attribute::Int(n)
    } else if let Ok(x) = value.as_float() {
        Attribute::Float(x)
    } else if let Ok(b) = value.as_bool() {
        Attribute::Bool(b)
    } else if value.is_string() {
        Attribute::Text(text_of(value))
    } else if let Ok(items) = value.as_array_ref() {
        Attribute::List(items.iter().map(attribute).collect())
    } else {
        Attribute::Other(value.type_name().into())
    }
}

/// Converts a script value to an integer from 0 to 2²⁰.
pub(crate) fn size(value: &Dynamic) -> Result<usize> {
    attribute(value).size()
}

/// Converts a script value to a list of integers from 0 to 2²⁰.
pub(crate) fn sizes(value: &Dynamic) -> Result<Vec<usize>> {
    attribute(value).list()?.iter().map(Attribute::size).collect()
}

/// Converts a script value to a string.
pub(crate) fn text(value: &Dynamic) -> Result<String> {
    attribute(value).text().map(String::from)
}

/// Converts a script value to a finite number. Errors unless the value is an integer or a finite float.
pub(crate) fn number(value: &Dynamic) -> Result<f64> {
    attribute(value).float()
}
