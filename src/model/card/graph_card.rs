//! The card of a network that comes from a file with a graph, such as ONNX, rather than from an architecture's script.

use super::source::{Source, Sources};
use super::values::CardValues;
use super::values::ChannelOrder;
use crate::data::{Interpolation, source};
use crate::graph::Graph;
use crate::model::Card;
use anyhow::{Context, Result};

/// ImageNet's mean and standard deviation, for pixels in `[0, 1]`.
const IMAGENET: ([f64; 3], [f64; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
/// ImageNet's crop, as a fraction of the shorter side.
const CROP: f64 = 0.875;
/// Minimum side length, in pixels, of inputs that are center-cropped; smaller inputs are resized without a crop.
const SMALL: usize = 128;

/// Creates the card of an imported graph with the output `output`, and adds the normalization to the graph, so that the returned
/// graph expects pixels in `[0, 1]`. `sources` are in order of increasing precedence. Missing values default to ImageNet's, but
/// inputs without three channels are not normalized.
///
/// A normalization that is already part of the file's graph must be a node `normalize`, with its values in the first of the
/// `sources`.
///
/// Errors if the values do not fit the graph.
pub fn of_graph(name: &str, graph: &Graph, output: &str, sources: &[CardValues]) -> Result<(Card, Graph)> {
    let what = || format!("describing the input of \"{name}\"");
    let shape = graph.nodes[0].shape.get(1..).unwrap_or_default();
    let input: [usize; 3] =
        shape.try_into().context("the input must have the shape (N, C, H, W)").with_context(what)?;
    let [channels, height, width] = input;
    let (mean, std) = match channels {
        3 => (IMAGENET.0.to_vec(), IMAGENET.1.to_vec()),
        _ => (vec![0.0; channels], vec![1.0; channels]),
    };
    let crop = (height.min(width) >= SMALL).then(|| (height.max(width) as f64 / CROP).floor() as usize);
    let none = || Source::ImageNet;
    let card = Card {
        name: name.into(),
        summary: String::new(),
        input,
        resize: crop,
        interpolation: Interpolation::Bilinear,
        mean,
        std,
        labels: [].into(),
        synonyms: [].into(),
        picture: source::own(channels).into(),
        channel_order: ChannelOrder::Rgb,
        output: Some(output.into()),
        sources: Sources {
            size: Source::File { file: name.into() },
            crop: none(),
            interpolation: none(),
            mean: none(),
            std: none(),
            labels: Source::File { file: name.into() },
            channel_order: none(),
            output: Source::File { file: name.into() },
            hub: "".into(),
        },
    };
    let card = card.with_values(sources).and_then(|card| card.fitted_to(graph)).with_context(what)?;
    let graph = graph.with_normalization(&card.mean, &card.std).with_context(what)?;
    let graph = card.in_channel_order(graph).with_context(what)?;
    Ok((card, graph))
}

#[cfg(test)]
mod tests {
    use super::super::values::{Given, PerChannel};
    use super::*;
    use crate::graph::Builder;
    use crate::graph::op::Flatten;

    fn graph(input: [usize; 3]) -> Graph {
        let mut b = Builder::new(&input);
        let end = b.add("flatten", Flatten, &[0]).unwrap();
        b.finish(end).unwrap()
    }

    #[test]
    fn a_graph_without_a_card_gets_imagenets_values_and_says_so() {
        let (card, graph) = of_graph("net.onnx", &graph([3, 1, 1]), "y", &[]).unwrap();
        assert_eq!((graph.nodes[1].op.kind(), card.resize), ("normalize", None));
        let note = card.note().unwrap();
        assert!(note.contains("no mean and std given for net.onnx: using ImageNet's 0.485, 0.456, 0.406"), "{note}");
        assert!(note.contains("--mean"), "{note}");
    }

    #[test]
    fn values_of_a_source_replace_imagenets() {
        let one = |value| Some(Given { value: PerChannel(vec![value]), source: Source::Flag });
        let flags = CardValues { mean: one(0.5), std: one(0.25), ..CardValues::default() };
        let (card, graph) = of_graph("net.onnx", &graph([3, 1, 1]), "y", &[flags]).unwrap();
        assert_eq!((card.mean, graph.nodes.len()), (vec![0.5; 3], 3));
    }

    #[test]
    fn an_input_with_another_number_of_channels_is_not_normalized() {
        let (card, graph) = of_graph("net.onnx", &graph([1, 2, 2]), "y", &[]).unwrap();
        assert_eq!((card.mean.len(), graph.nodes.len()), (1, 2));
        assert!(card.note().unwrap().contains("pixels from 0 to 1 without normalization"));
    }

    #[test]
    fn class_names_must_match_the_number_of_scores() {
        let labels = Given { value: vec!["a".into(), "b".into()], source: Source::Flag };
        let flags = CardValues { labels: Some(labels), ..CardValues::default() };
        let error = format!("{:#}", of_graph("net.onnx", &graph([3, 1, 1]), "y", &[flags]).unwrap_err());
        assert!(error.contains("has 3 scores but 2 class names (from --labels)"), "{error}");
    }
}
