//! JSON values with types, from text: parameters by their kind, table cells by what they look like.

use crate::script::method::params::EPSILON;
use crate::script::summary::ParamKind;
use serde_json::{Value, json};

/// Converts a parameter's value from `--set` syntax: a number, a boolean, a string, or null if the method decides. A length
/// relative to epsilon (`0.25eps`) and several values of one parameter stay text; several pictures are an array.
pub(super) fn parameter(kind: &ParamKind, text: &str) -> Value {
    let number = |text: &str| text.parse::<f64>().map_or_else(|_| text.into(), |v| json!(v));
    let integer = |text: &str| text.parse::<i64>().map_or_else(|_| text.into(), |v| json!(v));
    match kind {
        ParamKind::Text | ParamKind::Choice(_) => text.into(),
        ParamKind::Pictures => text.split(',').filter(|part| !part.is_empty()).collect(),
        _ if text.is_empty() => Value::Null,
        ParamKind::Pixels(..) if text.ends_with(EPSILON) => text.into(),
        ParamKind::Number(..) | ParamKind::Pixels(..) => number(text),
        ParamKind::Integer(..) | ParamKind::Class | ParamKind::Channel => integer(text),
        ParamKind::Switch => text.parse::<bool>().map_or_else(|_| text.into(), |on| json!(on)),
        ParamKind::Layer(_) | ParamKind::Array => text.into(),
    }
}

/// Converts a table cell: a decimal number becomes a number, `true` and `false` become booleans, and anything else stays text.
pub(super) fn cell(text: &str) -> Value {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let decimal = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || ".e-".contains(c));
    match text {
        "true" => json!(true),
        "false" => json!(false),
        _ if !decimal => text.into(),
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(v), _) if v.to_string() == text => json!(v),
            (Err(_), Ok(v)) if v.is_finite() && text.contains(['.', 'e']) => json!(v),
            _ => text.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_the_types_of_their_kinds() {
        let none = Value::Null;
        for (kind, text, value) in [
            (ParamKind::Number(0.0, 1.0), "0.5", json!(0.5)),
            (ParamKind::Pixels(0.0, 255.0), "8", json!(8.0)),
            (ParamKind::Pixels(0.0, 255.0), "0.25eps", json!("0.25eps")),
            (ParamKind::Integer(0, 9), "3", json!(3)),
            (ParamKind::Switch, "true", json!(true)),
            (ParamKind::Choice(vec!["1".into()]), "1", json!("1")),
            (ParamKind::Text, "", json!("")),
            (ParamKind::Class, "", none.clone()),
            (ParamKind::Channel, "7", json!(7)),
            (ParamKind::Channel, "7 9", json!("7 9")),
            (ParamKind::Layer(vec![]), "conv1", json!("conv1")),
            (ParamKind::Array, "", none),
            (ParamKind::Pictures, "a.png,b.png", json!(["a.png", "b.png"])),
            (ParamKind::Pictures, "", json!([])),
        ] {
            assert_eq!(parameter(&kind, text), value, "{kind:?} {text}");
        }
    }

    #[test]
    fn cells_that_are_decimal_numbers_become_numbers() {
        for (text, value) in [("0.25", json!(0.25)), ("-3", json!(-3)), ("1e-20", json!(1e-20)), ("true", json!(true))]
        {
            assert_eq!(cell(text), value);
        }
        for text in
            ["", "-", "0123", "98.2%", "NaN", "inf", "3 of 5", "2026-03-01", "1.2.3", "fc.1", "1e999", "e5", "--1"]
        {
            assert_eq!(cell(text), json!(text));
        }
    }
}
