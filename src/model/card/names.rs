//! Reads class names from text files with one name per line, and from values in JSON or Python syntax.

use super::literal;
use crate::data::read_text;
use crate::panics::decoding;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};
use std::path::Path;

/// Maximum size of a file of class names in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Reads class names from a file: one name per line; or, in a `.json` file, a list of names or an object such as
/// `{"0": "cat", "1": "dog"}`.
pub fn of_file(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path, MAX_BYTES)?;
    let read = || match path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
        true => of_value(&decoding("JSON", || serde_json::from_str(&text)).context("the file is not valid JSON")?),
        false => of_lines(&text),
    };
    read().with_context(|| format!("reading the class names in \"{}\"", words::path(path)))
}

/// Reads one name per line; empty lines at the end are ignored.
fn of_lines(text: &str) -> Result<Vec<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end();
    ensure!(!text.is_empty(), "the file is empty; expected one name per line");
    Ok(text.lines().map(|line| line.trim().to_string()).collect())
}

/// Class names in metadata: a list or dictionary in JSON or Python syntax, or names separated by commas or line breaks.
pub(super) fn of_text(text: &str) -> Result<Vec<String>> {
    let text = text.trim();
    if text.starts_with(['[', '{', '(']) {
        return of_value(&literal::parse(text)?);
    }
    let parts: Vec<_> = if text.contains('\n') { text.lines().collect() } else { text.split(',').collect() };
    Ok(parts.into_iter().map(|part| part.trim().to_string()).collect())
}

/// Class names in JSON: a list of names; an object from index to name (`id2label`), or to `[id, name]` as in
/// `imagenet_class_index.json`; or an object from name to index (`label2id`).
pub(super) fn of_value(value: &Value) -> Result<Vec<String>> {
    match value {
        Value::Array(list) => list.iter().map(name).collect(),
        Value::Object(map) if !map.is_empty() && map.values().all(Value::is_u64) => {
            let swapped = map.iter().map(|(name, index)| (index.to_string(), Value::from(name.clone()))).collect();
            by_index(&swapped)
        }
        Value::Object(map) => by_index(map),
        _ => bail!("expected a list of class names, or an object such as {{\"0\": \"cat\", \"1\": \"dog\"}}"),
    }
}

fn by_index(map: &Map<String, Value>) -> Result<Vec<String>> {
    let numbered = |index: usize| {
        let value = map.get(&index.to_string());
        value.with_context(|| format!("the {} class names must be numbered from 0, but {index} is missing", map.len()))
    };
    (0..map.len()).map(|index| name(numbered(index)?)).collect()
}

fn name(value: &Value) -> Result<String> {
    match value {
        Value::String(name) => Ok(name.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Array(parts) => Ok(parts.last().and_then(Value::as_str).context("expected [id, name]")?.into()),
        _ => bail!("expected a name for each class, got {value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_many_forms() {
        for text in [
            "cat, dog",
            "cat\ndog",
            r#"["cat", "dog"]"#,
            "['cat', 'dog']",
            "('cat', 'dog',)",
            "{0: 'cat', 1: 'dog'}",
            r#"{"1": "dog", "0": "cat"}"#,
            r#"{"cat": 0, "dog": 1}"#,
            r#"{"0": ["n02123045", "cat"], "1": ["n02084071", "dog"]}"#,
        ] {
            assert_eq!(of_text(text).unwrap(), ["cat", "dog"], "{text}");
        }
        assert_eq!(of_text("{0: \"it's\", 1: 'a \\'b\\''}").unwrap(), ["it's", "a 'b'"]);
        assert_eq!(of_lines("\u{feff}cat\r\n\r\nlarge dog\r\n\r\n").unwrap(), ["cat", "", "large dog"]);
    }

    #[test]
    fn names_with_a_gap_or_of_another_type_are_refused() {
        let said = |text: &str| format!("{:#}", of_text(text).unwrap_err());
        assert!(said("{0: 'cat', 2: 'dog'}").contains("1 is missing"), "{}", said("{0: 'cat', 2: 'dog'}"));
        assert!(said("[true]").contains("expected a name for each class, got true"));
        assert!(said("{0: 'cat'").contains("ends unexpectedly"), "{}", said("{0: 'cat'"));
        assert!(of_lines("\n\n").is_err());
    }
}
