//! Opens models: loads the weights of an architecture, or finds the architecture that fits the tensors of a weight file.

use super::Architectures;
use crate::graph::Graph;
use crate::model::fit::{Fit, Misfit, fit};
use crate::model::weights::{self, Archive, ENDINGS, INDEX};
use crate::model::{Card, Model};
use crate::train::labels;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

/// A weight file with more tensors than this is not compared with every architecture.
const MANY: usize = 50_000;

impl Architectures {
    /// Opens a network on the device and in the precision of the host's options. `name` is an architecture, a `.rhai` file
    /// that defines an architecture, or a weight file, whose tensors determine the architecture.
    ///
    /// `weights` defaults to the architecture's own file, `models/<name>.safetensors`; `FILE:KEY` selects one of several state
    /// dicts in a file. Errors if the weights do not fit; the message lists tensors that are missing, unexpected or of the wrong shape and names
    /// the closest architecture.
    pub fn open(&self, name: &str, weights: Option<&Path>) -> Result<Model> {
        if is_weight_file(name) {
            ensure!(weights.is_none(), "\"{name}\" is a weight file itself; name an architecture to use other weights");
            return self.tell(Path::new(name));
        }
        if name.ends_with(".onnx") {
            ensure!(weights.is_none(), "\"{name}\" has its own weights; give it without -w");
            return self.open_onnx(Path::new(name));
        }
        let (card, graph) = self.build(name)?;
        let Some(path) = weights else {
            let archive = self.own(name)?;
            let found = fit(&graph, &archive, None).map_err(|misfit| self.misfit(name, &archive, &misfit))?;
            return self.model(card, &graph, &archive, &found);
        };
        let loading = || format!("loading \"{}\" into {name}", words::path(&path));
        let (file, key) = split(path);
        let archive = weights::open(&file)?;
        let found = fit(&graph, &archive, key.as_deref());
        let found = found.map_err(|misfit| self.misfit(name, &archive, &misfit)).with_context(loading)?;
        with_labels_of(&file, card, &graph)
            .and_then(|card| self.model(card, &graph, &archive, &found))
            .with_context(loading)
    }

    /// Creates a model from an architecture and the weights that were found to fit it.
    fn model(&self, card: Card, graph: &Graph, archive: &Archive, found: &Fit) -> Result<Model> {
        let weights = archive.read(found.entries.clone())?;
        let graph = graph.with_weights(weights.tensors)?.placed(self.guard.options())?;
        Ok(Model { card: card.into(), graph: graph.into(), hash: weights.hash.into(), taken: found.told().into() })
    }

    /// The weights that come with the architecture `name`, from a file next to the scripts or embedded in the binary.
    fn own(&self, name: &str) -> Result<Archive> {
        let bytes = self.file(&format!("{name}.safetensors"))?;
        let needs = || format!("{name} needs weights: give a .safetensors or PyTorch file with -w");
        weights::archive(bytes.with_context(needs)?)
    }

    /// Opens a weight file in the architecture that has exactly the tensors of the file or of one of its state dicts. If
    /// several architectures fit, the one that leaves the fewest tensors unused is chosen; a tie goes to the architecture
    /// that the file is named after.
    pub fn tell(&self, path: &Path) -> Result<Model> {
        let (file, key) = split(path);
        let archive = weights::open(&file)?;
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let count = most_tensors(&archive);
        ensure!(
            count <= MANY,
            "\"{}\" has {count} tensors, too many to detect its architecture; name it with -m and give the file with -w",
            words::path(&path)
        );
        let (mut fits, mut misfits) = (vec![], vec![]);
        for name in self.names() {
            let (card, graph) = self.build(&name)?;
            match fit(&graph, &archive, key.as_deref()) {
                Ok(found) => fits.push((found, !stem.starts_with(&name), card, graph)),
                Err(misfit) => misfits.push((misfit.differences, name, misfit)),
            }
        }
        fits.sort_by_key(|(found, other, ..)| (found.aside.len(), *other));
        if let Some((found, _, card, graph)) = fits.into_iter().next() {
            let card = with_labels_of(&file, card, &graph);
            return card
                .and_then(|card| self.model(card, &graph, &archive, &found))
                .with_context(|| format!("loading \"{}\"", words::path(&path)));
        }
        misfits.sort_by_key(|(differences, ..)| *differences);
        let near: Vec<_> = misfits.iter().take(3).map(|(n, name, _)| format!("{name} ({n} differ)")).collect();
        let nearest = misfits.first().map(|(.., misfit)| format!(": {}", misfit.text)).unwrap_or_default();
        bail!(
            "no architecture has the {count} tensors of \"{}\"; the closest are {}; name one with -m and give the file with -w{nearest}",
            words::path(&path),
            near.join(", "),
        )
    }

    /// The error for weights that do not fit the architecture `name`; it says why, and which architecture is closest.
    fn misfit(&self, name: &str, archive: &Archive, misfit: &Misfit) -> anyhow::Error {
        let mut text = misfit.text.clone();
        match self.nearest(archive) {
            Some((0, nearest)) => text.push_str(&format!("; they fit {nearest} (-m {nearest})")),
            Some((_, nearest)) if nearest == name => text.push_str("; no other architecture is closer"),
            Some((n, nearest)) => {
                text.push_str(&format!("; the closest is {nearest} (-m {nearest}); number of tensors that differ: {n}"))
            }
            None => {}
        }
        anyhow::Error::msg(text)
    }

    /// The number of tensors that differ between the file and the closest architecture, and the name of that architecture; `None`
    /// if no tensor fits any architecture.
    fn nearest(&self, archive: &Archive) -> Option<(usize, String)> {
        if most_tensors(archive) > MANY {
            return None;
        }
        let distance = |name: String| {
            let (_, graph) = self.build(&name).ok()?;
            match fit(&graph, archive, None) {
                Ok(_) => Some((0, name)),
                Err(misfit) => (misfit.found > 0).then_some((misfit.differences, name)),
            }
        };
        self.names().into_iter().filter_map(distance).min_by_key(|(differences, _)| *differences)
    }
}

/// The number of tensors in the largest state dict of a weight file.
fn most_tensors(archive: &Archive) -> usize {
    archive.dicts.iter().map(|dict| dict.tensors.len()).max().unwrap_or_default()
}

/// Splits `FILE:KEY` into the file and the key of a state dict in it.
fn split(path: &Path) -> (PathBuf, Option<String>) {
    let whole = || (path.into(), None);
    let Some(text) = path.to_str().filter(|_| !path.exists()) else { return whole() };
    let parts = text.match_indices(':').map(|(at, _)| (&text[..at], &text[at + 1..]));
    let found = parts.into_iter().find(|(file, key)| !key.is_empty() && Path::new(file).exists());
    found.map_or_else(whole, |(file, key)| (file.into(), Some(key.into())))
}

fn is_weight_file(name: &str) -> bool {
    let (file, _) = split(Path::new(name));
    let ending = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ENDINGS.contains(&ending) || name.ends_with(INDEX)
}

/// Returns the card with the class names that the weights in `path` were trained with, if that file stores any.
fn with_labels_of(path: &Path, card: Card, graph: &Graph) -> Result<Card> {
    let labels = labels(path)?.filter(|labels| labels[..] != card.labels[..]);
    let Some(labels) = labels else { return Ok(card) };
    let classes = graph.classes();
    ensure!(labels.len() == classes, "it has {} class names for {classes} scores", labels.len());
    Ok(Card { labels: labels.into(), synonyms: [].into(), ..card })
}
