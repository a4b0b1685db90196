//! Preprocessing and class names in the metadata of a model file, such as ONNX's `metadata_props`.

use super::entry;
use super::literal;
use super::names;
use super::source::Source;
use super::values::{CardValues, Crop, Given, InputSize, PerChannel};
use crate::data::Interpolation;
use crate::words;
use anyhow::{Context, Result};
use std::collections::BTreeMap;

/// Keys under which exporters write class names.
const LABELS: [&str; 6] = ["labels", "names", "classes", "class_names", "id2label", "character"];
/// Keys under which exporters write the input size.
const SIZE: [&str; 3] = ["imgsz", "size", "image_size"];

/// Reads the metadata of the file named `file`: `mean`, `std`, `labels` (also `names`, `classes`, `class_names`, `id2label`, `character`),
/// `imgsz` (also `size`), `crop` and `interpolation`. Values are lists in JSON's or Python's syntax, or separated by commas. Other keys are
/// ignored.
///
/// Errors if a value is invalid.
pub fn of_metadata(file: &str, metadata: &BTreeMap<String, String>) -> Result<CardValues> {
    let source = || Source::File { file: file.into() };
    let mut values = CardValues {
        size: given(metadata, &SIZE, source(), size)?,
        crop: given(metadata, &["crop", "crop_pct"], source(), |text| text.parse::<Crop>())?,
        interpolation: given(metadata, &["interpolation"], source(), |text| text.parse::<Interpolation>())?,
        mean: given(metadata, &["mean"], source(), |text| per_channel(text, PerChannel::mean))?,
        std: given(metadata, &["std"], source(), |text| per_channel(text, PerChannel::std))?,
        labels: given(metadata, &LABELS, source(), names::of_text)?,
        channel_order: None,
        output: None,
    };
    // Ultralytics' networks expect pixels from 0 to 1 without normalization.
    if metadata.get("author").is_some_and(|author| author == "Ultralytics") {
        let all = |value: f64| Some(Given { value: PerChannel(vec![value]), source: source() });
        values.mean = values.mean.or(all(0.0));
        values.std = values.std.or(all(1.0));
    }
    Ok(values)
}

/// The value of the first key that is present.
fn given<T>(
    metadata: &BTreeMap<String, String>,
    keys: &[&str],
    source: Source,
    read: impl Fn(&str) -> Result<T>,
) -> Result<Option<Given<T>>> {
    let found = keys.iter().find_map(|key| Some((key, metadata.get(*key)?)));
    let Some((key, text)) = found.filter(|(_, text)| !text.trim().is_empty()) else { return Ok(None) };
    let value = read(text.trim()).with_context(|| {
        let start: String = text.chars().take(60).collect();
        format!("the metadata of the file has \"{key}\" = \"{}\"", words::name(&start))
    })?;
    Ok(Some(Given { value, source }))
}

fn size(text: &str) -> Result<InputSize> {
    match text.starts_with(['[', '(']) {
        true => entry::size(&literal::parse(text)?),
        false => text.replace(',', "x").parse(),
    }
}

fn per_channel(text: &str, read: fn(&str) -> Result<PerChannel>) -> Result<PerChannel> {
    read(text.trim_matches(['[', ']', '(', ')']).trim_end_matches(','))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<CardValues> {
        let pairs = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        of_metadata("net.onnx", &pairs.collect())
    }

    #[test]
    fn lists_are_read_in_any_syntax() {
        for mean in ["0.5,0.25,0.125", "[0.5, 0.25, 0.125]", "(0.5, 0.25, 0.125)"] {
            assert_eq!(read(&[("mean", mean)]).unwrap().mean.unwrap().value.0, [0.5, 0.25, 0.125], "{mean}");
        }
        for size in ["[48, 64]", "48,64", "48x64", "[3, 48, 64]"] {
            assert_eq!(read(&[("imgsz", size)]).unwrap().size.unwrap().value, InputSize([48, 64]), "{size}");
        }
        let names = read(&[("classes", "cat,dog")]).unwrap().labels.unwrap();
        assert_eq!((names.value.len(), names.source.text("labels")), (2, "net.onnx".into()));
    }

    #[test]
    fn metadata_written_by_ultralytics_is_read() {
        let values = read(&[
            ("author", "Ultralytics"),
            ("task", "classify"),
            ("imgsz", "[224, 224]"),
            ("names", "{0: 'tench', 1: \"jack-o'-lantern\"}"),
        ]);
        let values = values.unwrap();
        assert_eq!(values.labels.unwrap().value, ["tench", "jack-o'-lantern"]);
        assert_eq!((values.mean.unwrap().value.0, values.std.unwrap().value.0), (vec![0.0], vec![1.0]));
    }

    #[test]
    fn metadata_written_by_rapidocr_is_read() {
        let values = read(&[("character", "0\n90\n180\n270")]).unwrap();
        assert_eq!(values.labels.unwrap().value, ["0", "90", "180", "270"]);
    }

    #[test]
    fn errors_name_the_key_and_other_keys_are_ignored() {
        let error = format!("{:#}", read(&[("mean", "zero")]).unwrap_err());
        assert!(error.starts_with("the metadata of the file has \"mean\" = \"zero\": expected numbers"), "{error}");
        assert!(read(&[("producer", "x"), ("mean", " ")]).unwrap().is_empty());
    }
}
