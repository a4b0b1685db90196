//! Opens files that contain a network's graph: ONNX and `.pt2`.

use super::Architectures;
use super::open_model::joined;
use crate::backend;
use crate::data::read_whole;
use crate::graph::{Graph, Node};
use crate::interrupt::{self, InterruptProbe};
use crate::model::card::{CardValues, Given, PerChannel, Source, beside, of_graph, of_metadata};
use crate::model::onnx::{self, Network, ReadOptions};
use crate::model::{Card, Model, class_names_for, pt2};
use crate::words;
use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Extensions of files that contain a graph.
pub(super) const GRAPHS: [&str; 2] = [".onnx", ".pt2"];
/// Maximum size of an ONNX file in bytes, a limit of the format. Larger weights are stored in separate files.
const MAX_BYTES: u64 = 2 << 30;
/// Number of ImageNet classes. A network with this many classes and no class names is assumed to have been trained on ImageNet.
const IMAGENET_CLASSES: usize = 1000;

impl Architectures {
    /// Opens the network in an ONNX or `.pt2` file. Card values come from the file, from card files next to it and from `flags`,
    /// in order of increasing precedence.
    ///
    /// Errors if the file is damaged, contains unsupported operators, or has an input that is not a picture.
    pub(super) fn open_graph(&self, path: &Path, flags: &CardValues) -> Result<Model> {
        ensure!(path.is_file(), "no file \"{}\"", words::path(&path));
        self.read_graph(path, flags).with_context(|| format!("opening \"{}\"", words::path(&path)))
    }

    fn read_graph(&self, path: &Path, flags: &CardValues) -> Result<Model> {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let cards = beside(path)?;
        let given = || cards.iter().chain([flags]).rev();
        let size = given().find_map(|values| values.size.as_ref()).map(|given| given.value.0);
        let output = given().find_map(|values| values.output.as_ref()).map(|given| given.value.clone());
        let options = ReadOptions { size, output };
        let network = match path.extension().is_some_and(|end| end == "pt2") {
            true => pt2::read(path, &options)?,
            false => onnx::read(read_whole(path, MAX_BYTES)?, path.parent(), &options)?,
        };
        interrupt::check()?;
        let mut metadata = of_metadata(&file, &network.metadata)?;
        // They may be names of another kind, such as a text recognizer's alphabet.
        let other =
            metadata.labels.take_if(|names| names.value.len() != class_names_for(&network.graph, names.value.len()));
        let mut sources = vec![metadata];
        sources.extend(cards);
        sources.extend(built_in(&network, &file));
        sources.push(flags.clone());
        let (card, graph) = of_graph(&file, &network.graph, &network.output, &sources)?;
        let card =
            self.with_class_names(Card { summary: "Network from an exported graph".into(), ..card }, graph.classes())?;
        let graph = graph.placed(self.guard.options())?;
        let ignored = other.map_or(String::new(), |names| {
            let count = names.value.len();
            format!("ignoring the {count} class names in the file's metadata, whose number does not match the output")
        });
        let (hash, taken) = (hash(&network.graph)?, joined(&[&note_of_output(&card, &network), &ignored]));
        Ok(Model { card: card.into(), graph: graph.into(), hash: hash.into(), taken: taken.into() })
    }

    /// Adds ImageNet's class names to the card if the network has 1000 classes without names.
    fn with_class_names(&self, card: Card, classes: usize) -> Result<Card> {
        if !card.labels.is_empty() || classes != IMAGENET_CLASSES {
            return Ok(card);
        }
        let (labels, synonyms) = self.listed("imagenet")?;
        let mut card = Card { labels: labels.into(), synonyms: synonyms.into(), ..card };
        card.sources.labels = Source::ImageNet;
        Ok(card)
    }
}

/// The card values of a network that normalizes pictures itself. They take precedence over card files, so that pictures are not
/// normalized twice.
fn built_in(network: &Network, file: &str) -> Option<CardValues> {
    let given = |value: f64| Some(Given { value: PerChannel(vec![value]), source: Source::File { file: file.into() } });
    network.scale.map(|scale| CardValues { mean: given(0.0), std: given(scale), ..CardValues::default() })
}

/// A note for the user that a file has several outputs, unless one was selected.
fn note_of_output(card: &Card, network: &Network) -> String {
    let chosen = !matches!(card.sources.output, Source::File { .. });
    let others: Vec<_> =
        network.outputs.iter().filter(|&name| *name != network.output).map(|name| words::name(name)).collect();
    match chosen || others.is_empty() {
        true => String::new(),
        false => format!(
            "using the output {}; select another with --output: {}",
            words::name(&network.output),
            others.join(", ")
        ),
    }
}

/// SHA-256 of the layers and weights, in hexadecimal: the hash of the hashes of all layers, which are computed in parallel.
fn hash(graph: &Graph) -> Result<String> {
    let probe = InterruptProbe::here();
    let layers = graph.nodes.par_iter().map(|node| {
        probe.check()?;
        hash_of(node)
    });
    let layers = layers.collect::<Result<Vec<_>>>()?;
    Ok(format!("{:x}", layers.iter().fold(Sha256::new(), |hash, layer| hash.chain_update(layer)).finalize()))
}

/// SHA-256 of a layer and its weights.
fn hash_of(node: &Node) -> Result<[u8; 32]> {
    let mut hash = Sha256::new_with_prefix(format!("{} {:?} {:?};", node.name, node.op, node.inputs));
    for weight in &node.params {
        backend::with::<f32, _>(weight, |values| {
            let mut bytes = [0; 4096];
            for values in values.chunks(bytes.len() / 4) {
                let filled = &mut bytes[..4 * values.len()];
                filled
                    .chunks_exact_mut(4)
                    .zip(values)
                    .for_each(|(bytes, value)| bytes.copy_from_slice(&value.to_le_bytes()));
                hash.update(filled);
            }
        })?;
    }
    Ok(hash.finalize().into())
}
