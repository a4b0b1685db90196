//! The maps that scripts give functions and cards: every key known, every value of its kind.

use crate::script::report::closest;
use crate::script::shown::text as text_of;
use anyhow::{Context, Result, bail, ensure};
use rhai::{Array, Dynamic, INT, Map};

/// The greatest size or count that a script may ask for.
const LARGEST: INT = 1 << 20;

/// A map whose keys are all known.
pub(crate) struct Options {
    what: &'static str,
    map: Map,
}

impl Options {
    /// The options of `what`; a key that is not in `known` is an error that names the closest.
    pub(crate) fn new(what: &'static str, map: Map, known: &[&str]) -> Result<Self> {
        for key in map.keys() {
            if !known.contains(&key.as_str()) {
                let near = closest(key, known.iter().copied()).map(|k| format!("did you mean \"{k}\"? "));
                let near = near.unwrap_or_default();
                bail!("{what} has no option \"{key}\"; {near}it takes {}", known.join(", "));
            }
        }
        Ok(Self { what, map })
    }

    /// A value read by `read`, or `default` where the key is absent.
    fn read<T>(&self, key: &str, default: T, read: impl Fn(&Dynamic) -> Result<T>) -> Result<T> {
        match self.map.get(key) {
            None => Ok(default),
            Some(value) => read(value).with_context(|| format!("option \"{key}\" of {}", self.what)),
        }
    }

    /// Whether the key is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// A whole number, 0 or more.
    pub(crate) fn size(&self, key: &str, default: usize) -> Result<usize> {
        self.read(key, default, size)
    }

    /// A whole number.
    pub(crate) fn whole(&self, key: &str, default: INT) -> Result<INT> {
        self.read(key, default, |v| v.as_int().map_err(|kind| anyhow::anyhow!("expected a whole number, got {kind}")))
    }

    /// A number.
    pub(crate) fn number(&self, key: &str, default: f64) -> Result<f64> {
        self.read(key, default, number)
    }

    /// `true` or `false`.
    pub(crate) fn switch(&self, key: &str, default: bool) -> Result<bool> {
        self.read(key, default, |v| v.as_bool().map_err(|kind| anyhow::anyhow!("expected true or false, got {kind}")))
    }

    /// One size for height and width, or `[height, width]`.
    pub(crate) fn pair(&self, key: &str, default: (usize, usize)) -> Result<(usize, usize)> {
        self.read(key, default, pair)
    }

    /// A list of numbers.
    pub(crate) fn numbers(&self, key: &str) -> Result<Vec<f64>> {
        self.read(key, vec![], |v| list(v)?.iter().map(number).collect())
    }

    /// A list of sizes.
    pub(crate) fn sizes(&self, key: &str) -> Result<Vec<usize>> {
        self.read(key, vec![], sizes)
    }

    /// A list of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>> {
        self.read(key, vec![], |v| list(v)?.iter().map(text).collect())
    }

    /// One of some words, the first where the key is absent.
    pub(crate) fn one_of(&self, key: &str, words: &[&'static str]) -> Result<&'static str> {
        self.read(key, words[0], |v| {
            let word = words.iter().find(|w| v.is_string() && **w == v.to_string());
            word.copied().with_context(|| format!("expected \"{}\", got {}", words.join("\", \""), shown(v)))
        })
    }

    /// The value as it is.
    pub(crate) fn raw(&self, key: &str) -> Option<&Dynamic> {
        self.map.get(key)
    }
}

/// A whole number, 0 or more and not absurd.
pub(crate) fn size(value: &Dynamic) -> Result<usize> {
    let Ok(n) = value.as_int() else { bail!("expected a whole number, got {}", shown(value)) };
    ensure!((0..=LARGEST).contains(&n), "expected a whole number from 0 to {LARGEST}, got {n}");
    Ok(n as usize)
}

/// One size twice, or `[height, width]`.
pub(crate) fn pair(value: &Dynamic) -> Result<(usize, usize)> {
    match value.type_name() {
        "i64" => size(value).map(|n| (n, n)),
        "array" => match sizes(value)?[..] {
            [h, w] => Ok((h, w)),
            _ => bail!("expected one size or [height, width], got {}", text_of(value)),
        },
        _ => bail!("expected a size or [height, width], got {}", shown(value)),
    }
}

/// A list of sizes.
pub(crate) fn sizes(value: &Dynamic) -> Result<Vec<usize>> {
    list(value)?.iter().map(size).collect()
}

/// A text.
pub(crate) fn text(value: &Dynamic) -> Result<String> {
    ensure!(value.is_string(), "expected a text, got {}", shown(value));
    Ok(text_of(value))
}

/// A finite number, whole or not.
pub(crate) fn number(value: &Dynamic) -> Result<f64> {
    let number = super::number(value)?;
    ensure!(number.is_finite(), "expected a finite number, got {number}");
    Ok(number)
}

fn list(value: &Dynamic) -> Result<Array> {
    let Ok(items) = value.as_array_ref() else { bail!("expected a list [ … ], got {}", shown(value)) };
    Ok(items.clone())
}

fn shown(value: &Dynamic) -> String {
    match value.type_name() {
        "array" | "map" | "()" | "Fn" => value.type_name().to_string(),
        "string" => format!("\"{}\"", text_of(value)),
        kind => format!("{} ({kind})", text_of(value)),
    }
}
