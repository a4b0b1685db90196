//! Parses literals in JSON or Python syntax, as written into metadata by exporters.

use crate::panics::decoding;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

/// Maximum depth of nested lists and dictionaries.
const DEEPEST: usize = 16;

/// Parses a list, tuple, dictionary, string, number or word in JSON or Python syntax. Keys of dictionaries become strings.
pub(super) fn parse(text: &str) -> Result<Value> {
    if let Ok(value) = decoding("JSON", || serde_json::from_str(text)) {
        return Ok(value);
    }
    let mut rest = text.trim();
    let value = value(&mut rest, 0)?;
    ensure!(rest.trim().is_empty(), "unexpected \"{}\"", rest.trim().chars().take(20).collect::<String>());
    Ok(value)
}

fn value(rest: &mut &str, depth: usize) -> Result<Value> {
    ensure!(depth < DEEPEST, "the value is nested too deeply");
    *rest = rest.trim_start();
    match rest.chars().next().context("the value ends unexpectedly")? {
        '[' => list(rest, ']', depth),
        '(' => list(rest, ')', depth),
        '{' => dictionary(rest, depth),
        quote @ ('\'' | '"') => string(rest, quote).map(Value::String),
        _ => word(rest),
    }
}

fn list(rest: &mut &str, close: char, depth: usize) -> Result<Value> {
    *rest = &rest[1..];
    let mut values = vec![];
    while !skip(rest, close) {
        values.push(value(rest, depth + 1)?);
        separated(rest, close)?;
    }
    Ok(Value::Array(values))
}

fn dictionary(rest: &mut &str, depth: usize) -> Result<Value> {
    *rest = &rest[1..];
    let mut fields = Map::new();
    while !skip(rest, '}') {
        let key = value(rest, depth + 1)?;
        let key = key.as_str().map_or_else(|| key.to_string(), str::to_string);
        ensure!(skip(rest, ':'), "expected : after the key \"{key}\"");
        fields.insert(key, value(rest, depth + 1)?);
        separated(rest, '}')?;
    }
    Ok(Value::Object(fields))
}

/// Skips the comma between two values; before the closing bracket it may be absent.
fn separated(rest: &mut &str, close: char) -> Result<()> {
    *rest = rest.trim_start();
    ensure!(!rest.is_empty(), "the value ends unexpectedly");
    ensure!(skip(rest, ',') || rest.starts_with(close), "expected , or {close}");
    Ok(())
}

/// Skips white space and then `c`, if it follows; returns whether it did.
fn skip(rest: &mut &str, c: char) -> bool {
    *rest = rest.trim_start();
    rest.strip_prefix(c).is_some_and(|after| {
        *rest = after;
        true
    })
}

fn string(rest: &mut &str, quote: char) -> Result<String> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => {
                *rest = &rest[at + 1..];
                return Ok(text);
            }
            '\\' => match chars.next().context("the value ends unexpectedly")?.1 {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                other => text.push(other),
            },
            c => text.push(c),
        }
    }
    bail!("the value ends unexpectedly")
}

/// A number, `True`, `False`, `None`, or a word without quotes.
fn word(rest: &mut &str) -> Result<Value> {
    let end = rest.find([',', ':', ']', '}', ')']).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    let word = word.trim();
    ensure!(!word.is_empty(), "expected a value");
    *rest = after;
    let number = word.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
    Ok(match (word, word.parse::<u64>(), number) {
        ("None", ..) => Value::Null,
        ("True", ..) => true.into(),
        ("False", ..) => false.into(),
        (_, Ok(whole), _) => whole.into(),
        (_, _, Some(number)) => number.into(),
        _ => word.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn python_and_json_literals_have_the_same_values() {
        assert_eq!(
            parse("{0: 'a', 'b': (1, -2.5,), \"c\": [True, None]}").unwrap(),
            json!({
                "0": "a", "b": [1, -2.5], "c": [true, null]
            })
        );
        assert_eq!(parse("[640, 640]").unwrap(), json!([640, 640]));
        assert_eq!(parse("  { }").unwrap(), json!({}));
        assert_eq!(parse("'größe'").unwrap(), json!("größe"));
    }

    #[test]
    fn damaged_literals_are_errors() {
        for text in ["", "{", "[1", "{'a' 1}", "'a", "'a\\", "[,]", "[]]", &"[".repeat(1000)] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
