//! Describes a card with the source of each value: as rows, as JSON, and as one-line notes.

use super::source::Source;
use super::values::ChannelOrder;
use crate::model::Card;
use crate::words;
use serde_json::{Map, Value, json};

/// One value of a card as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardRow {
    /// Name of the value, as in flags.
    pub name: &'static str,
    /// The value.
    pub value: String,
    /// The source of the value.
    pub source: String,
}

/// The values of a card and their sources, as text.
pub fn rows(card: &Card) -> Vec<CardRow> {
    let [channels, height, width] = card.input;
    let crop = match card.resize {
        None => "none: the whole picture is scaled".into(),
        Some(short) => format!("shorter side {short}, then center crop"),
    };
    let labels = match &card.labels[..] {
        [] => "none".into(),
        [first, .., last] if card.labels.len() > 3 => format!("{}: {first} to {last}", card.labels.len()),
        few => few.join(", "),
    };
    let values = [
        format!("{height}x{width}, {channels} channel{}", if channels == 1 { "" } else { "s" }),
        crop,
        card.interpolation.to_string(),
        listed(&card.mean),
        listed(&card.std),
        labels,
        card.channel_order.to_string(),
        card.output.clone().unwrap_or_default(),
    ];
    let row =
        |((name, source), value): ((&'static str, &Source), String)| CardRow { name, value, source: source.text(name) };
    let present = |row: &CardRow| is_shown(card, row.name);
    card.sources.each().into_iter().zip(values).map(row).filter(present).collect()
}

/// Whether a value is shown: the channel order only if it is not RGB, the output only if it has a name.
fn is_shown(card: &Card, name: &str) -> bool {
    match name {
        "channel-order" => card.channel_order != ChannelOrder::Rgb,
        "output" => card.output.is_some(),
        _ => true,
    }
}

/// The values of a card and their sources as JSON. `labels` is the list of all class names or, if `brief`, their number.
pub fn document(card: &Card, brief: bool) -> Value {
    let given = card.sources.each().into_iter().filter(|(name, _)| is_shown(card, name));
    let sources = given.map(|(name, source)| (name.to_string(), source.text(name).into()));
    let mut document = json!({
        "input": card.input,
        "resize": card.resize,
        "interpolation": card.interpolation.name(),
        "mean": card.mean,
        "std": card.std,
        "labels": if brief { json!(card.labels.len()) } else { json!(&card.labels[..]) },
        "sources": Map::from_iter(sources),
    });
    if card.channel_order == ChannelOrder::Bgr {
        document["channel_order"] = card.channel_order.to_string().into();
    }
    if let Some(output) = &card.output {
        document["output"] = output.as_str().into();
    }
    document
}

impl Card {
    /// A note for the user about values set by neither the architecture nor a flag; `None` if there are none.
    pub fn note(&self) -> Option<String> {
        let notes = [self.note_of_default(), self.note_of_cards()];
        let notes: Vec<_> = notes.into_iter().flatten().collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    fn note_of_default(&self) -> Option<String> {
        let name = words::name(&self.name);
        (self.sources.mean == Source::ImageNet || self.sources.std == Source::ImageNet).then(|| match self.input[0] {
            3 => format!(
                "no mean and std given for {name}: using ImageNet's {} and {}; set others with --mean and --std",
                listed(&self.mean),
                listed(&self.std)
            ),
            _ => format!(
                "no mean and std given for {name}: using pixels from 0 to 1 without normalization; set others with --mean and --std"
            ),
        })
    }

    /// A note for the user about the values that come from card files, file by file.
    fn note_of_cards(&self) -> Option<String> {
        let mut files: Vec<(&str, Vec<&str>)> = vec![];
        for (name, source) in self.sources.each() {
            let Source::Card { file, .. } = source else { continue };
            match files.iter_mut().find(|(known, _)| **known == **file) {
                Some((_, names)) => names.push(name),
                None => files.push((file, vec![name])),
            }
        }
        let texts = files.iter().map(|(file, names)| format!("{} from {}", names.join(", "), words::name(file)));
        (!files.is_empty()).then(|| format!("card: {}", texts.collect::<Vec<_>>().join("; ")))
    }

    /// The hub name of the network, if it has one, and the sources of the values that do not come from the architecture (file
    /// names, flags), without duplicates. Shown in the app's header.
    pub fn origins(&self) -> Vec<String> {
        let mut all: Vec<String> = vec![];
        if !self.sources.hub.is_empty() {
            all.push(shortened(&self.sources.hub));
        }
        for (name, source) in self.sources.each() {
            let text = match source {
                Source::Script | Source::File { .. } => continue,
                Source::Card { file, .. } => file.to_string(),
                Source::ImageNet if name == "crop" || name == "interpolation" => continue,
                other => other.text(name),
            };
            if !all.contains(&text) {
                all.push(text);
            }
        }
        all
    }
}

/// A hub name with an abbreviated commit.
fn shortened(hub: &str) -> String {
    match hub.split_once('@') {
        Some((name, commit)) if commit.len() == 40 => format!("{name}@{}", &commit[..7]),
        _ => hub.into(),
    }
}

fn listed(values: &[f64]) -> String {
    values.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commits_are_shortened() {
        let commit = "0123456789012345678901234567890123456789";
        assert_eq!(shortened(&format!("hf:timm/a.b@{commit}")), "hf:timm/a.b@0123456");
        assert_eq!(shortened("torchvision:resnet50@IMAGENET1K_V2"), "torchvision:resnet50@IMAGENET1K_V2");
    }
}
