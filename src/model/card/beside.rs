//! Finds the card files next to a network's file.

use super::values::CardValues;
use super::{hugging_face, own, timm};
use crate::data::read_text;
use crate::panics::decoding;
use crate::words;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Maximum size of a card file in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// A function that reads one kind of card file, given the file's name and contents.
type Reader = fn(&str, &Value) -> Result<CardValues>;

/// Card files with a fixed name, in order of increasing precedence.
const FILES: [(&str, Reader); 3] = [
    ("config.json", hugging_face::config),
    ("preprocessor_config.json", hugging_face::preprocessor),
    ("config.json", timm::read),
];

/// The values in the card files next to the network's file `path`, in order of increasing precedence. `path` may also be a folder of
/// shards.
///
/// Errors if a card is damaged.
pub fn beside(path: &Path) -> Result<Vec<CardValues>> {
    let own = path_beside(path);
    let folder = own.parent().unwrap_or(Path::new(""));
    let mut found = vec![];
    for (name, read) in FILES {
        found.extend(one(&folder.join(name), read)?);
    }
    found.extend(one(&own, own::of_json)?);
    found.retain(|values| !values.is_empty());
    Ok(found)
}

/// The architecture named in timm's `config.json` next to the file `path`; `None` if there is no such file or it names none.
pub fn timm_architecture(path: &Path) -> Option<String> {
    let text = read_text(&path.parent()?.join("config.json"), MAX_BYTES).ok()?;
    let config = decoding("JSON", || serde_json::from_str::<Value>(&text)).ok()?;
    config.get("pretrained_cfg").or(config.get("input_size"))?;
    Some(config.get("architecture")?.as_str()?.to_string())
}

/// The path of the card `NAME.card.json` for the network's file `path`.
pub fn path_beside(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.join("model.card.json");
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".index.json").unwrap_or(&name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    path.with_file_name(format!("{stem}.card.json"))
}

/// Reads a card file; `None` if it does not exist.
fn one(path: &Path, read: Reader) -> Result<Option<CardValues>> {
    if !path.is_file() {
        return Ok(None);
    }
    let reading = || format!("reading the card \"{}\"", words::path(path));
    let text = read_text(path, MAX_BYTES).with_context(reading)?;
    let value = decoding("JSON", || serde_json::from_str::<Value>(&text)).with_context(reading)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    read(&name, &value).map(Some).with_context(reading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_named_after_its_networks_file() {
        for (file, card) in [
            ("a/resnet50.pth", "a/resnet50.card.json"),
            ("net.v2.onnx", "net.v2.card.json"),
            ("model.safetensors.index.json", "model.card.json"),
        ] {
            assert_eq!(path_beside(Path::new(file)), Path::new(card));
        }
        assert!(path_beside(Path::new(".")).ends_with("model.card.json"));
    }

    #[test]
    fn all_cards_in_the_folder_are_read_from_the_weakest_to_the_strongest() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let weights = folder.path().join("net.safetensors");
        assert_eq!(beside(&weights).unwrap(), []);
        write("config.json", r#"{"pretrained_cfg": {"crop_pct": 0.9}, "id2label": {"0": "cat"}}"#);
        write("preprocessor_config.json", r#"{"size": 224}"#);
        write("net.card.json", r#"{"crop": 0.5}"#);
        write("other.card.json", "broken");
        let crops: Vec<_> = beside(&weights)
            .unwrap()
            .into_iter()
            .map(|values| values.crop.map(|crop| crop.source.text("crop")))
            .collect();
        let text = |text: &str| Some(text.to_string());
        assert_eq!(
            crops,
            [
                None,
                text("preprocessor_config.json: size"),
                text("config.json: pretrained_cfg.crop_pct"),
                text("net.card.json: crop")
            ]
        );
    }

    #[test]
    fn the_architecture_is_read_from_both_forms_of_timms_card() {
        let folder = tempfile::tempdir().unwrap();
        let said = |text: &str| {
            std::fs::write(folder.path().join("config.json"), text).unwrap();
            timm_architecture(&folder.path().join("model.safetensors"))
        };
        assert_eq!(timm_architecture(&folder.path().join("model.safetensors")), None);
        assert_eq!(said(r#"{"architecture": "a", "pretrained_cfg": {}}"#).as_deref(), Some("a"));
        assert_eq!(said(r#"{"architecture": "a", "input_size": [3, 1, 1]}"#).as_deref(), Some("a"));
        for other in [r#"{"architecture": "a"}"#, r#"{"architecture": 1, "pretrained_cfg": {}}"#, "[]", "{"] {
            assert_eq!(said(other), None, "{other}");
        }
    }

    #[test]
    fn a_damaged_card_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("config.json", "{"), ("preprocessor_config.json", "[]"), ("net.card.json", r#"{"crop": 2.5}"#)]
        {
            std::fs::write(folder.path().join(name), text).unwrap();
            let error = format!("{:#}", beside(&folder.path().join("net.pth")).unwrap_err());
            assert!(error.contains("reading the card") && error.contains(name), "{error}");
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
    }
}
