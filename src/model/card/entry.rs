//! Reads the entries of a JSON card; errors name the key and the expected value.

use super::source::Source;
use super::values::{Crop, Given, InputSize, PerChannel};
use crate::data::Interpolation;
use anyhow::{Context, Result, anyhow};
use serde_json::{Map, Value};

/// An object in a JSON file, whose keys are prefixed with `path` in messages.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    pub file: &'a str,
    pub path: &'a str,
    pub fields: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    /// Wraps `value`. Errors if it is not an object.
    pub fn new(file: &'a str, path: &'a str, value: &'a Value) -> Result<Self> {
        let fields = value.as_object().with_context(|| match path {
            "" => format!("the card must be a JSON object, got {}", brief(value)),
            path => format!("\"{}\" must be a JSON object, got {}", path.trim_end_matches('.'), brief(value)),
        })?;
        Ok(Self { file, path, fields })
    }

    /// The value of `key`; `None` if it is absent or null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    /// The value of `key` converted by `read`, with its source; `None` if it is absent or null. If `read` returns an error, it is
    /// reported with the key and the value.
    pub fn given<T>(&self, key: &str, read: impl Fn(&Value) -> Result<T>) -> Result<Option<Given<T>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let value = read(value).map_err(|why| self.wrong(key, value, &why))?;
        Ok(Some(Given { value, source: self.source(key) }))
    }

    /// The error for an invalid value of `key`.
    pub fn wrong(&self, key: &str, value: &Value, why: &anyhow::Error) -> anyhow::Error {
        anyhow!("\"{}{key}\" is {}: {why:#}", self.path, brief(value))
    }

    /// The source of the value of `key`.
    pub fn source(&self, key: &str) -> Source {
        Source::Card { file: self.file.into(), key: format!("{}{key}", self.path).into() }
    }

    /// The boolean value of `key`; `default` if it is absent or null.
    pub fn switch(&self, key: &str, default: bool) -> Result<bool> {
        let read = |value: &Value| value.as_bool().context("expected true or false");
        Ok(self.given(key, read)?.map_or(default, |given| given.value))
    }

    /// The numeric value of `key`; `default` if it is absent or null.
    pub fn number(&self, key: &str, default: f64) -> Result<f64> {
        Ok(self.given(key, number)?.map_or(default, |given| given.value))
    }
}

/// The start of a JSON value, for messages.
fn brief(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    let start: String = text.chars().take(LONGEST).collect();
    if start.len() < text.len() { format!("{start}…") } else { start }
}

/// A finite number.
pub(super) fn number(value: &Value) -> Result<f64> {
    value.as_f64().filter(|n| n.is_finite()).context("expected a number")
}

/// A length in pixels.
pub(super) fn pixels(value: &Value) -> Result<usize> {
    let whole = number(value).ok().filter(|n| *n >= 1.0 && n.fract() == 0.0 && *n < 1e6);
    Ok(whole.context("expected a whole number of pixels")? as usize)
}

/// Values per channel: a list, or one number for all channels.
fn numbers(value: &Value) -> Result<Vec<f64>> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let numbers: Option<_> = list.iter().map(|value| number(value).ok()).collect();
    numbers.context("expected a list of numbers, one per channel")
}

/// A mean for pixels in `[0, 1]`.
pub(super) fn mean(value: &Value) -> Result<PerChannel> {
    PerChannel::checked(numbers(value)?, false)
}

/// A standard deviation for pixels in `[0, 1]`.
pub(super) fn std(value: &Value) -> Result<PerChannel> {
    PerChannel::checked(numbers(value)?, true)
}

/// Values per channel for pixels of any range.
pub(super) fn any_range(value: &Value) -> Result<Vec<f64>> {
    numbers(value)
}

/// Height and width: a number, `[H, W]` or `[C, H, W]`.
pub(super) fn size(value: &Value) -> Result<InputSize> {
    let form = "expected a side length in pixels, [height, width] or [channels, height, width]";
    let sides = match value.as_array().map(Vec::as_slice) {
        None => [value, value],
        Some([height, width] | [_, height, width]) => [height, width],
        Some(_) => return Err(anyhow!(form)),
    };
    let side = |value| pixels(value).ok().context(form);
    InputSize::checked([side(sides[0])?, side(sides[1])?])
}

/// A crop: a fraction or the shorter side in pixels.
pub(super) fn crop(value: &Value) -> Result<Crop> {
    Crop::of(value.as_f64().unwrap_or(f64::NAN))
}

/// A string.
pub(super) fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("expected a string")?.to_string())
}

/// The name of an interpolation method.
pub(super) fn interpolation(value: &Value) -> Result<Interpolation> {
    value.as_str().unwrap_or_default().parse()
}
