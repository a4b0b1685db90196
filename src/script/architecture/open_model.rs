//! Opens models: loads the weights of an architecture, or finds the architecture that fits the tensors of a weight file.

use super::Architectures;
use super::open_graph::GRAPHS;
use crate::graph::Graph;
use crate::model::card::{CardValues, Given, Source, beside};
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
        self.open_with(name, weights, &CardValues::default())
    }

    /// Like [`open`](Self::open), with the card's values in `flags`; those in card files beside the weights come next.
    pub fn open_with(&self, name: &str, weights: Option<&Path>, flags: &CardValues) -> Result<Model> {
        if is_weight_file(name) {
            ensure!(weights.is_none(), "\"{name}\" is a weight file itself; name an architecture to use other weights");
            return self.tell_with(Path::new(name), flags);
        }
        if GRAPHS.iter().any(|end| name.ends_with(end)) {
            ensure!(weights.is_none(), "\"{name}\" already contains its weights; omit -w");
            return self.open_graph(Path::new(name), flags);
        }
        let Some(path) = weights else {
            let (card, graph) = self.build_with(name, &sources_without_weights(name, flags)?)?;
            let archive = self.own(name)?;
            let found = fit(&graph, &archive, None).map_err(|misfit| self.misfit(name, &archive, &misfit))?;
            return self.model(card, &graph, &archive, &found);
        };
        let loading = || format!("loading \"{}\" into {name}", words::path(&path));
        let (file, key) = split(path);
        let (card, graph) = self.build_with(name, &sources(&file, flags)?)?;
        let archive = weights::open(&file)?;
        let found = fit(&graph, &archive, key.as_deref());
        let found = found.map_err(|misfit| self.misfit(name, &archive, &misfit)).with_context(loading)?;
        self.model(card, &graph, &archive, &found).with_context(loading)
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
        self.tell_with(path, &CardValues::default())
    }

    /// Like [`tell`](Self::tell), with the card's values in `flags`; those in card files beside the weights come next.
    pub fn tell_with(&self, path: &Path, flags: &CardValues) -> Result<Model> {
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
        if let Some((found, _, card, _)) = fits.into_iter().next() {
            return sources(&file, flags)
                .and_then(|sources| self.build_with(&card.name, &sources))
                .and_then(|(card, graph)| self.model(card, &graph, &archive, &found))
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
pub fn split(path: &Path) -> (PathBuf, Option<String>) {
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

/// What is known about a network besides its script, from the weakest source to the strongest: the class names that the weights in
/// `file` were trained with, card files beside it, and flags.
pub fn sources(file: &Path, flags: &CardValues) -> Result<Vec<CardValues>> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let reading = || format!("reading \"{}\"", words::path(file));
    let labels = labels(file).with_context(reading)?;
    let labels = labels.map(|value| Given { value, source: Source::File { file: name.into() } });
    let own = CardValues { labels, ..CardValues::default() };
    Ok([vec![own], beside(file)?, vec![flags.clone()]].concat())
}

/// What is known about a network without a weight file besides its script `name`, from the weakest source to the strongest: card files
/// beside the script, if it is a file, and flags.
pub fn sources_without_weights(name: &str, flags: &CardValues) -> Result<Vec<CardValues>> {
    let beside = if name.ends_with(".rhai") { beside(Path::new(name))? } else { vec![] };
    Ok([beside, vec![flags.clone()]].concat())
}
