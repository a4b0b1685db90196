//! timm's `config.json`.

use super::entry::{self, Object};
use super::names;
use super::values::{CardValues, Crop, Given};
use anyhow::{Result, bail};
use serde_json::Value;

/// Reads the preprocessing and class names in timm's `config.json`; returns no values if `config` is not timm's. `file` is the
/// file name that is recorded as the source of the values.
pub(super) fn read(file: &str, config: &Value) -> Result<CardValues> {
    let top = Object::new(file, "", config)?;
    let own = match top.get("pretrained_cfg") {
        Some(inner) => Object::new(file, "pretrained_cfg.", inner)?,
        // Until 2022, the values were at the top level.
        None if top.get("input_size").is_some() && top.get("mean").is_some() => top,
        None => return Ok(CardValues::default()),
    };
    Ok(CardValues {
        size: own.given("input_size", entry::size)?,
        crop: crop(&own)?,
        interpolation: own.given("interpolation", entry::interpolation)?,
        mean: own.given("mean", entry::mean)?,
        std: own.given("std", entry::std)?,
        labels: match labels(&top)? {
            None => labels(&own)?,
            labels => labels,
        },
        channel_order: None,
        output: None,
    })
}

fn crop(own: &Object) -> Result<Option<Given<Crop>>> {
    let squash = own.given("crop_mode", |mode| match mode.as_str() {
        Some("center") => Ok(None),
        Some("squash") => Ok(Some(Crop::Whole)),
        _ => bail!("expected center or squash"),
    })?;
    match squash {
        Some(Given { value: Some(value), source }) => Ok(Some(Given { value, source })),
        _ => own.given("crop_pct", entry::crop),
    }
}

/// The class names; names with an entry in `label_descriptions`, such as WordNet IDs, are replaced with their descriptions.
fn labels(at: &Object) -> Result<Option<Given<Vec<String>>>> {
    let given = match at.given("label_names", names::of_value)? {
        None => at.given("labels", names::of_value)?,
        given => given,
    };
    let Some(mut given) = given else { return Ok(None) };
    if let Some(descriptions) = at.get("label_descriptions").and_then(Value::as_object) {
        for name in &mut given.value {
            if let Some(text) = descriptions.get(name.as_str()).and_then(Value::as_str) {
                *name = text.split(',').next().unwrap_or(text).trim().to_string();
            }
        }
    }
    Ok(Some(given))
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::super::values::{InputSize, PerChannel};
    use super::*;
    use crate::data::Interpolation;
    use serde_json::json;

    fn at(key: &str) -> Source {
        Source::Card { file: "config.json".into(), key: key.into() }
    }

    #[test]
    fn values_are_read_from_pretrained_cfg_and_class_names_from_the_top() {
        let config = json!({
            "architecture": "resnet50", "num_classes": 2, "label_names": ["n1", "dog"],
            "label_descriptions": { "n1": "cat, house cat" },
            "pretrained_cfg": {
                "input_size": [3, 288, 320], "crop_pct": 0.95, "interpolation": "bicubic", "crop_mode": "center",
                "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "tag": "a1_in1k", "fixed_input_size": false
            }
        });
        let read = read("config.json", &config).unwrap();
        let given = Given { value: InputSize([288, 320]), source: at("pretrained_cfg.input_size") };
        assert_eq!(read.size, Some(given));
        assert_eq!(read.crop.unwrap().value, Crop::Fraction(0.95));
        assert_eq!(read.interpolation.unwrap().value, Interpolation::Bicubic);
        assert_eq!(read.mean.unwrap().value, PerChannel(vec![0.5; 3]));
        assert_eq!(read.std.unwrap().source, at("pretrained_cfg.std"));
        assert_eq!(read.labels, Some(Given { value: vec!["cat".into(), "dog".into()], source: at("label_names") }));
    }

    #[test]
    fn the_older_form_and_squashing_are_read_and_other_files_have_no_values() {
        let old = json!({ "architecture": "x", "input_size": [3, 224, 224], "mean": [0.5, 0.5, 0.5], "crop_mode": "squash", "crop_pct": 0.9 });
        assert_eq!(read("config.json", &old).unwrap().crop.unwrap().value, Crop::Whole);
        assert!(read("config.json", &json!({ "model_type": "vit", "id2label": {} })).unwrap().is_empty());
    }

    #[test]
    fn errors_name_the_key_in_pretrained_cfg() {
        let error = read("config.json", &json!({ "pretrained_cfg": { "mean": "a" } })).unwrap_err().to_string();
        assert_eq!(error, "\"pretrained_cfg.mean\" is \"a\": expected a list of numbers, one per channel");
        let error = read("config.json", &json!({ "pretrained_cfg": 1 })).unwrap_err().to_string();
        assert_eq!(error, "\"pretrained_cfg\" must be a JSON object, got 1");
    }
}
