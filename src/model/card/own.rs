//! `NAME.card.json`, gradscope's own card format.

use super::entry::{self, Object};
use super::names;
use super::values::{CardValues, Crop, Given};
use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

/// The keys of a card, in the order in which they are written.
const KEYS: [&str; 8] = ["size", "crop", "interpolation", "mean", "std", "labels", "channel_order", "output"];

/// Reads a card; `file` is the file name that is recorded as the source of the values. Errors if a key is unknown or a value is
/// invalid.
pub fn of_json(file: &str, value: &Value) -> Result<CardValues> {
    let card = Object::new(file, "", value)?;
    if let Some(unknown) = card.fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
        bail!("unknown key \"{unknown}\"; expected one of {}", KEYS.join(", "));
    }
    let whole = card.fields.get("crop").filter(|crop| crop.is_null());
    Ok(CardValues {
        size: card.given("size", entry::size)?,
        crop: match whole {
            Some(_) => Some(Given { value: Crop::Whole, source: card.source("crop") }),
            None => card.given("crop", entry::crop)?,
        },
        interpolation: card.given("interpolation", entry::interpolation)?,
        mean: card.given("mean", entry::mean)?,
        std: card.given("std", entry::std)?,
        labels: card.given("labels", names::of_value)?,
        channel_order: card.given("channel_order", |value| entry::text(value)?.parse())?,
        output: card.given("output", entry::text)?,
    })
}

/// Writes the given values in the format that [`of_json`] reads.
pub fn json(values: &CardValues) -> Value {
    let crop = |crop: &Crop| match crop {
        Crop::Whole => Value::Null,
        Crop::Fraction(fraction) => json!(fraction),
        Crop::Side(side) => json!(side),
    };
    let all = [
        values.size.as_ref().map(|given| json!(given.value.0)),
        values.crop.as_ref().map(|given| crop(&given.value)),
        values.interpolation.as_ref().map(|given| json!(given.value.name())),
        values.mean.as_ref().map(|given| json!(given.value.0)),
        values.std.as_ref().map(|given| json!(given.value.0)),
        values.labels.as_ref().map(|given| json!(given.value)),
        values.channel_order.as_ref().map(|given| json!(given.value.to_string())),
        values.output.as_ref().map(|given| json!(given.value)),
    ];
    let pairs = KEYS.iter().zip(all).filter_map(|(key, value)| Some((key.to_string(), value?)));
    Value::Object(pairs.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_cards_are_read_back() {
        for text in [
            r#"{"size": [48, 64], "crop": 0.875, "interpolation": "bicubic", "mean": [0.5], "std": [0.25], "labels": ["a", "b"], "channel_order": "bgr", "output": "logits"}"#,
            r#"{"crop": 256}"#,
            r#"{"crop": null}"#,
            "{}",
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(json(&of_json("x.card.json", &value).unwrap()), value, "{text}");
        }
    }

    #[test]
    fn errors_name_the_key_and_the_expected_value() {
        for (text, parts) in [
            ("[]", "must be a JSON object, got []"),
            (
                r#"{"means": 1}"#,
                "unknown key \"means\"; expected one of size, crop, interpolation, mean, std, labels, channel_order, output",
            ),
            (r#"{"mean": "a"}"#, "\"mean\" is \"a\": expected a list of numbers, one per channel"),
            (
                r#"{"mean": [123, 116, 103]}"#,
                "\"mean\" is [123,116,103]: 123 looks like a value for pixels in 0–255; divide by 255",
            ),
            (r#"{"std": [0.2, 0, 0.2]}"#, "standard deviations must be positive"),
            (r#"{"size": [1, 2, 3, 4]}"#, "\"size\" is [1,2,3,4]: expected a side length in pixels"),
            (r#"{"size": 0.5}"#, "expected a side length in pixels"),
            (r#"{"crop": "none"}"#, "\"crop\" is \"none\": expected a fraction such as 0.875"),
            (r#"{"interpolation": "cubic"}"#, "expected bilinear, bicubic, lanczos, nearest"),
            (r#"{"channel_order": "gbr"}"#, "\"channel_order\" is \"gbr\": expected rgb or bgr"),
            (r#"{"output": 1}"#, "\"output\" is 1: expected a string"),
            (r#"{"labels": 10}"#, "\"labels\" is 10: expected a list of class names"),
        ] {
            let error = of_json("x", &serde_json::from_str(text).unwrap()).unwrap_err().to_string();
            assert!(error.contains(parts), "{text}: {error}");
        }
    }
}
