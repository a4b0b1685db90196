//! Checks JSON against the part of JSON Schema that `docs/result.schema.json` uses.

use serde_json::Value;

/// Keywords without an effect on validity.
const ANNOTATIONS: [&str; 6] = ["$schema", "$defs", "title", "description", "format", "required"];

/// What is wrong with a value, each with its place; empty if the value is valid. Panics if the schema uses an unknown keyword.
pub fn errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = vec![];
    check(schema, schema, value, "", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let mut wrong = |why: String| found.push(format!("{place}: {why}"));
    let keywords = schema.as_object().expect("a schema is an object");
    if let Some(required) = keywords.get("required").filter(|_| value.is_object()) {
        let missing = required.as_array().unwrap().iter().filter(|key| value.get(key.as_str().unwrap()).is_none());
        missing.for_each(|key| wrong(format!("{key} is missing")));
    }
    for (keyword, rule) in keywords {
        match keyword.as_str() {
            "type" => {
                let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                if !types.iter().any(|kind| is(value, kind.as_str().unwrap())) {
                    wrong(format!("{value} is not {rule}"));
                }
            }
            "const" if value != rule => wrong(format!("{value} is not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => wrong(format!("{value} is not one of {rule}")),
            _ => {}
        }
    }
    for (keyword, rule) in keywords {
        match keyword.as_str() {
            "type" | "const" | "enum" => {}
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').expect("a local reference");
                check(root, root.pointer(pointer).expect("the reference exists"), value, place, found);
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{place}/{i}"), found);
                }
            }
            "properties" => {
                for (key, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        check(root, rule, value, &format!("{place}/{key}"), found);
                    }
                }
            }
            "additionalProperties" => {
                let known = |key: &String| keywords.get("properties").is_some_and(|all| all.get(key).is_some());
                for (key, value) in value.as_object().into_iter().flatten().filter(|(key, _)| !known(key)) {
                    let place = format!("{place}/{key}");
                    match rule {
                        Value::Bool(false) => found.push(format!("{place}: not in the schema")),
                        rule => check(root, rule, value, &place, found),
                    }
                }
            }
            other => assert!(ANNOTATIONS.contains(&other), "unknown keyword {other:?} at {place}"),
        }
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type {other:?}"),
    }
}
