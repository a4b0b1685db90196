//! Opens models: loads weights into an architecture, or finds the architecture that matches the tensors in a weight file.

use super::open_graph::GRAPHS;
use super::{Architectures, Script, Unbuilt};
use crate::graph::{Graph, Node};
use crate::hub::{self, HubName, is_hub_name};
use crate::interrupt;
use crate::model::card::{CardValues, Given, Source, Sources, beside, of_torchvision, timm_architecture};
use crate::model::fit::{Fit, Misfit, few, fit};
use crate::model::free_sizes::FreeSizes;
use crate::model::tensor_shapes::TensorShapes;
use crate::model::weights::{self, Archive, ENDINGS, INDEX};
use crate::model::{Card, Model};
use crate::script::api::builder::Purpose;
use crate::train::labels;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Weight files with more tensors than this are not compared with every architecture.
const MANY: usize = 50_000;

/// Number of closest architectures to compare in full if a weight file matches none.
const NEAR: usize = 12;

/// An architecture is reported as close only if it has at least the fraction `1 / ALIKE` of a file's tensors.
const ALIKE: usize = 4;

impl Architectures {
    /// Opens a network on the device and with the precision of the host's options. `name` is an architecture, a `.rhai` file that
    /// defines one, a weight file, whose tensors determine the architecture, or the hub name of a network.
    ///
    /// `weights` defaults to the architecture's bundled file, `models/<name>.safetensors`. `FILE:KEY` selects one of several
    /// state dicts in a file. Errors if the weights do not match, listing missing and unexpected tensors, wrong shapes, and the
    /// closest architecture.
    pub fn open(&self, name: &str, weights: Option<&Path>) -> Result<Model> {
        self.open_with(name, weights, &CardValues::default())
    }

    /// Like [`open`](Self::open), with the card values in `flags`, which take precedence over card files next to the weights.
    pub fn open_with(&self, name: &str, weights: Option<&Path>, flags: &CardValues) -> Result<Model> {
        if is_hub_name(name) {
            ensure!(weights.is_none(), "\"{}\" already names weights; omit -w", words::name(name));
            return self.open_hub(name, flags);
        }
        if let Some(hub) = weights.and_then(Path::to_str).filter(|weights| is_hub_name(weights)) {
            return self.with_hub(hub, |found| self.open_with(name, Some(&found.file), flags));
        }
        if let Some(graph) = weights.and_then(Path::to_str).filter(|weights| is_graph_file(weights)) {
            bail!("\"{0}\" already contains a network; open it with -m {0} and omit -w", words::name(graph));
        }
        if is_weight_file(name) {
            ensure!(
                weights.is_none(),
                "\"{name}\" is a weight file itself; to use other weights, pass an architecture instead"
            );
            return self.tell_with(Path::new(name), flags);
        }
        if is_graph_file(name) {
            ensure!(weights.is_none(), "\"{name}\" already contains its weights; omit -w");
            return self.open_graph(Path::new(name), flags);
        }
        refuse_output(flags)?;
        let (script, own) = self.find(name)?;
        let Some(path) = weights else {
            let (sources, name) = (sources_without_weights(name, flags)?, own);
            let (card, graph) = self.build_for(&script, &name, Purpose::default(), &sources)?;
            let archive = self.own(&name)?;
            let found = fit(&graph, &archive, None, &[]);
            let found = found.map_err(|misfit| self.misfit(&name, &TensorFile::of(&archive, None), &misfit))?;
            return self.model(card, &graph, &archive, &found, &FreeSizes::default());
        };
        let name = own;
        let loading = || format!("loading \"{}\" into {name}", words::path(&path));
        let (path, key) = split(path);
        let sources = sources(&path, flags)?;
        let archive = weights::open(&path)?;
        let file = TensorFile { sources: &sources, path: Some(&path), ..TensorFile::of(&archive, key.as_deref()) };
        let candidate = self.candidate(&script, &name, &file, false).map_err(|unfit| match unfit {
            Unfit::Unbuilt(error) => error.into(),
            Unfit::Misfit(misfit) => self.misfit(&name, &file, &misfit).context(loading()),
        })?;
        self.loaded(candidate, &archive, "").with_context(loading)
    }

    /// Opens a network on a hub: its graph, or the architecture that matches its weights.
    fn open_hub(&self, name: &str, flags: &CardValues) -> Result<Model> {
        self.with_hub(name, |found| {
            let file = found.file.to_string_lossy();
            match GRAPHS.iter().any(|end| file.ends_with(end)) {
                true => self.open_graph(&found.file, flags),
                false => self.tell_titled(&found.file, Some(&found.title), None, flags),
            }
        })
    }

    /// Finds the files of a network on a hub, opens them, and stores the hub's name in the card.
    fn with_hub(&self, name: &str, open: impl FnOnce(&hub::Found) -> Result<Model>) -> Result<Model> {
        let found = hub::find(&name.parse::<HubName>()?, &self.hub)?;
        let model = open(&found).with_context(|| format!("opening {}", found.name))?;
        let mut card = (*model.card).clone();
        card.sources = Sources { hub: found.name.into(), ..card.sources };
        Ok(Model { card: card.into(), ..model })
    }

    /// Creates a model from an architecture and matching weights. `note` is added to the notes for the user.
    fn loaded(&self, candidate: Candidate, archive: &Archive, note: &str) -> Result<Model> {
        let Candidate { card, graph, found, sizes } = candidate;
        let model = self.model(card, &graph, archive, &found, &sizes)?;
        Ok(Model { taken: joined(&[&model.taken, note]).into(), ..model })
    }

    fn model(&self, card: Card, graph: &Graph, archive: &Archive, found: &Fit, sizes: &FreeSizes) -> Result<Model> {
        let weights = archive.read(found.entries.clone())?;
        let graph = graph.with_weights(weights.tensors)?.placed(self.guard.options())?;
        let taken = joined(&[&found.told(), &sizes.told()]);
        Ok(Model { card: card.into(), graph: graph.into(), hash: weights.hash.into(), taken: taken.into() })
    }

    /// The bundled weights of the architecture `name`, from a file next to the scripts or embedded in the binary.
    fn own(&self, name: &str) -> Result<Archive> {
        let bytes = self.file(&format!("{name}.safetensors"))?;
        let needs = || format!("{name} needs weights: pass a .safetensors or PyTorch file with -w");
        weights::archive(bytes.with_context(needs)?)
    }

    /// Opens a weight file with an architecture whose parameters match the tensors of the file, or of one of its state dicts, except for
    /// the numbers of input channels and classes. If several architectures match, prefers one that leaves the fewest tensors unused,
    /// then one whose sizes need not change, then the one whose name is most similar to the file's.
    pub fn tell(&self, path: &Path) -> Result<Model> {
        self.tell_with(path, &CardValues::default())
    }

    /// Like [`tell`](Self::tell), with the card values in `flags`, which take precedence over card files next to the weights. Also
    /// opens hub names and graph files.
    pub fn tell_with(&self, path: &Path, flags: &CardValues) -> Result<Model> {
        match path.to_str() {
            Some(hub) if is_hub_name(hub) => self.open_hub(hub, flags),
            Some(graph) if is_graph_file(graph) => self.open_graph(path, flags),
            _ => self.tell_titled(path, None, None, flags),
        }
    }

    /// Like [`tell`](Self::tell), but among equally good matches prefers the architecture `open`, whatever the file's name.
    pub fn tell_for(&self, open: &str, path: &Path) -> Result<Model> {
        match path.to_str() {
            Some(name) if is_hub_name(name) || is_graph_file(name) => self.tell(path),
            _ => self.tell_titled(path, None, Some(open), &CardValues::default()),
        }
    }

    /// Like [`tell_with`](Self::tell_with), for a network whose name differs from the name of its file, and with a preferred
    /// architecture.
    fn tell_titled(
        &self,
        path: &Path,
        title: Option<&str>,
        preferred: Option<&str>,
        flags: &CardValues,
    ) -> Result<Model> {
        let (path, key) = split(path);
        let archive = weights::open(&path)?;
        refuse_output(flags)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let title = Title { name: title.unwrap_or(&stem), timm: timm_architecture(&path), preferred };
        let count = most_tensors(&archive);
        ensure!(
            count <= MANY,
            "\"{}\" has {count} tensors, too many to detect its architecture; specify it with -m and pass the file with -w",
            words::path(&path)
        );
        let file = TensorFile::of(&archive, key.as_deref());
        let scripts = self.scripts().0;
        let Survey { mut fits, near } = self.survey(&scripts, &file)?;
        fits.sort_by_key(|c| (c.found.aside.len(), !c.sizes.is_empty(), Reverse(title.likeness(&c.card.name))));
        if !fits.is_empty() {
            let chosen = fits.remove(0);
            let loading = || format!("loading \"{}\"", words::path(&path));
            let sources = sources(&path, flags).with_context(loading)?;
            let (script, name) = self.find(&chosen.card.name)?;
            let file = TensorFile { sources: &sources, ..file };
            let candidate = self.candidate(&script, &name, &file, false).map_err(|unfit| match unfit {
                Unfit::Unbuilt(error) => error.into(),
                Unfit::Misfit(misfit) => anyhow::Error::msg(misfit.text),
            });
            let note = alternatives(&chosen, &fits);
            return self.loaded(candidate.with_context(loading)?, &archive, &note).with_context(loading);
        }
        let without_graph = archive.without_graph(key.as_deref());
        let misfits = self.misfits(&near, &file);
        let far = misfits.first().is_none_or(|(.., misfit)| misfit.found * ALIKE < count);
        if far && key.is_none() {
            let names: Vec<_> = archive.dicts.iter().flat_map(|dict| dict.tensors.keys()).collect();
            let (path_text, names) = (words::path(&path), few(&names, weights::shown));
            bail!(
                without_graph.error(&format!("no architecture matches the tensors of \"{path_text}\": {names}"), &path)
            );
        }
        let near: Vec<_> = misfits.iter().take(3).map(|(n, name, _)| format!("{name} ({n} differ)")).collect();
        let nearest = misfits.first().map(|(.., misfit)| format!(": {}", misfit.text)).unwrap_or_default();
        let what = format!(
            "no architecture has the {count} tensors of \"{}\"; the closest are {}; specify one with -m and pass the file with -w{nearest}",
            words::path(&path),
            near.join(", "),
        );
        bail!(without_graph.error(&what, &path))
    }

    /// Builds the architecture `name` for a weight file and matches its parameters. If they do not match, the numbers of input channels and
    /// outputs are taken from the file. If `strict` is true, stops at the first missing parameter, which is much faster.
    fn candidate<'a>(
        &self,
        script: &Script,
        name: &str,
        file: &TensorFile<'a>,
        strict: bool,
    ) -> Result<Candidate<'a>, Unfit> {
        let purpose = |sizes, strict| Purpose { shapes: Some(file.shapes.clone()), sizes, strict };
        let unused = script.options(name).and_then(|o| o.texts("unused")).map_err(Unbuilt::from)?;
        let place = |graph: &Graph| fit(graph, file.archive, file.key, &unused);
        let (card, graph) = self.build_for(script, name, purpose(FreeSizes::default(), strict), file.sources)?;
        let misfit = match place(&graph) {
            Ok(found) => return Ok(Candidate { card, graph, found, sizes: FreeSizes::default() }),
            Err(misfit) => misfit,
        };
        let sizes = FreeSizes::of(&graph, &file.shapes);
        if sizes.is_empty() {
            return Err(Unfit::Misfit(misfit));
        }
        // With free sizes, a small network matches a few tensors of almost any file, so more tensors must match than not.
        let whole = |found: &Fit| !strict || found.entries.len() > found.aside.len();
        match self.build_for(script, name, purpose(sizes.clone(), false), file.sources).ok() {
            Some((card, graph)) => match place(&graph) {
                Ok(found) if whole(&found) => Ok(Candidate { card, graph, found, sizes }),
                Ok(_) => Err(Unfit::Misfit(misfit)),
                Err(other) => Err(Unfit::Misfit(if other.differences < misfit.differences { other } else { misfit })),
            },
            None => Err(Unfit::Misfit(misfit)),
        }
    }

    /// Compares a weight file with all architectures. Errors if a script fails and no other architecture matches.
    fn survey<'a, 's>(&self, scripts: &'s [Script], file: &TensorFile<'a>) -> Result<Survey<'a, 's>> {
        let (mut fits, mut near, mut failed) = (vec![], vec![], None);
        for (script, name) in scripts.iter().flat_map(|script| script.names.iter().map(move |name| (script, name))) {
            interrupt::check()?;
            match self.candidate(script, name, file, true) {
                Ok(candidate) => fits.push(candidate),
                // A script that reads sizes from the file may fail for files of other architectures.
                Err(Unfit::Unbuilt(Unbuilt::Failed(error))) => {
                    match self.build_for(script, name, Purpose::default(), &[]) {
                        Ok(_) => near.push((0, script, name.as_str())),
                        Err(_) => failed = failed.or(Some(error)),
                    }
                }
                Err(Unfit::Unbuilt(Unbuilt::Foreign(found))) => near.push((found, script, name.as_str())),
                Err(Unfit::Misfit(misfit)) => near.push((misfit.found, script, name.as_str())),
            }
        }
        if let Some(error) = failed.filter(|_| fits.is_empty()) {
            return Err(error);
        }
        near.sort_by_key(|(found, ..)| Reverse(*found));
        Ok(Survey { fits, near })
    }

    /// The architectures likely to be closest to a weight file, closest first: number of differences, name and mismatch.
    fn misfits(&self, near: &[(usize, &Script, &str)], file: &TensorFile) -> Vec<(usize, String, Misfit)> {
        let whole = |(_, script, name): &(usize, &Script, &str)| match self.candidate(script, name, file, false) {
            Err(Unfit::Misfit(misfit)) => Some((misfit.differences, name.to_string(), misfit)),
            _ => None,
        };
        let mut misfits: Vec<_> = near.iter().take(NEAR).filter_map(whole).collect();
        misfits.sort_by_key(|(differences, ..)| *differences);
        misfits
    }

    /// The error for weights that do not match the architecture `name`, with the reason and the closest architecture.
    fn misfit(&self, name: &str, file: &TensorFile, misfit: &Misfit) -> anyhow::Error {
        let mut text = misfit.text.clone();
        let nearest = self.nearest(file);
        let fits = matches!(nearest, Some((0, _)));
        match nearest {
            Some((0, nearest)) => text.push_str(&format!("; they match {nearest} (-m {nearest})")),
            Some((_, nearest)) if nearest == name => text.push_str("; no other architecture is closer"),
            Some((n, nearest)) => {
                text.push_str(&format!("; the closest is {nearest} (-m {nearest}); number of tensors that differ: {n}"))
            }
            None => {}
        }
        match file.path.filter(|_| !fits) {
            Some(path) => file.archive.without_graph(file.key).error(&text, path).into(),
            None => anyhow::Error::msg(text),
        }
    }

    /// The number of tensors that differ between the file and the closest architecture, and that architecture's name; `None` if
    /// no tensor matches any architecture.
    fn nearest(&self, file: &TensorFile) -> Option<(usize, String)> {
        if most_tensors(file.archive) > MANY {
            return None;
        }
        let scripts = self.scripts().0;
        let any_key = TensorFile { key: None, sources: &[], ..file.clone() };
        let Survey { fits, near } = self.survey(&scripts, &any_key).ok()?;
        if let Some(candidate) = fits.into_iter().next() {
            return Some((0, candidate.card.name));
        }
        let misfits = self.misfits(&near, &any_key).into_iter();
        misfits.filter(|(.., misfit)| misfit.found > 0).map(|(differences, name, _)| (differences, name)).next()
    }
}

/// Errors if the flags select an output for a network that is not opened from a graph file.
fn refuse_output(flags: &CardValues) -> Result<()> {
    ensure!(flags.output.is_none(), "--output: only .onnx and .pt2 files have named outputs");
    Ok(())
}

/// A weight file to compare with architectures.
#[derive(Clone)]
struct TensorFile<'a> {
    archive: &'a Archive,
    /// The key of a state dict in the file, if specified.
    key: Option<&'a str>,
    /// Path of the file; `None` for bundled weights.
    path: Option<&'a Path>,
    shapes: Arc<TensorShapes>,
    /// Card values from sources other than the script, in order of increasing precedence.
    sources: &'a [CardValues],
}

impl<'a> TensorFile<'a> {
    fn of(archive: &'a Archive, key: Option<&'a str>) -> Self {
        Self { archive, key, path: None, shapes: TensorShapes::of(archive).into(), sources: &[] }
    }
}

/// The name of a network, for choosing among architectures with the same parameters.
struct Title<'a> {
    /// Name of the file without its extension, or hub name of the network.
    name: &'a str,
    /// The architecture named in timm's `config.json`.
    timm: Option<String>,
    /// The architecture to prefer, if any.
    preferred: Option<&'a str>,
}

impl Title<'_> {
    /// Similarity of the name of an architecture to the title; higher is more similar.
    fn likeness(&self, name: &str) -> usize {
        let own = name.strip_prefix("timm_");
        match &self.timm {
            _ if self.preferred == Some(name) => usize::MAX,
            Some(timm) if own == Some(timm) => usize::MAX - 1,
            Some(timm) if name == timm => usize::MAX - 2,
            _ if self.name.contains(name) => name.len(),
            _ => 0,
        }
    }
}

/// An architecture that matches a weight file.
struct Candidate<'a> {
    card: Card,
    graph: Graph,
    found: Fit<'a>,
    /// The sizes that were changed to match the file.
    sizes: FreeSizes,
}

/// Why an architecture does not match a weight file.
enum Unfit {
    Unbuilt(Unbuilt),
    Misfit(Misfit),
}

impl From<Unbuilt> for Unfit {
    fn from(unbuilt: Unbuilt) -> Self {
        Self::Unbuilt(unbuilt)
    }
}

/// The architectures that match a weight file, and all other architectures, closest first, each with a lower bound on its number of
/// matching parameters.
struct Survey<'a, 's> {
    fits: Vec<Candidate<'a>>,
    near: Vec<(usize, &'s Script, &'s str)>,
}

/// A note that lists other architectures with the same parameters as `chosen`, which may differ from `chosen` in details such as
/// padding; empty if there are none.
fn alternatives(chosen: &Candidate, others: &[Candidate]) -> String {
    // Networks that differ only in normalization are not listed.
    let kept = |node: &&Node| node.op.kind() != "normalize";
    let network =
        |c: &Candidate| c.graph.nodes.iter().filter(kept).map(|n| format!("{} {:?}", n.name, n.op)).collect::<Vec<_>>();
    let rank = |c: &Candidate| (c.found.aside.len(), c.sizes.is_empty());
    let equal = others.iter().filter(|other| rank(other) == rank(chosen) && network(other) != network(chosen));
    let names: Vec<_> = equal.map(|other| other.card.name.as_str()).collect();
    match names.len() {
        0 => String::new(),
        1 => format!("{} has the same parameters (select it with -m and pass the file with -w)", names[0]),
        _ => format!("{} have the same parameters (select one with -m and pass the file with -w)", names.join(", ")),
    }
}

/// Joins the nonempty texts with semicolons.
pub(super) fn joined(texts: &[&str]) -> String {
    texts.iter().filter(|text| !text.is_empty()).copied().collect::<Vec<_>>().join("; ")
}

/// The number of tensors in the largest state dict of a weight file.
fn most_tensors(archive: &Archive) -> usize {
    archive.dicts.iter().map(|dict| dict.tensors.len()).max().unwrap_or_default()
}

/// Splits `FILE:KEY` into the path of the file and the key of a state dict.
pub fn split(path: &Path) -> (PathBuf, Option<String>) {
    let whole = || (path.into(), None);
    let Some(text) = path.to_str().filter(|_| !path.exists()) else { return whole() };
    let parts = text.match_indices(':').map(|(at, _)| (&text[..at], &text[at + 1..]));
    let found = parts.into_iter().find(|(file, key)| !key.is_empty() && Path::new(file).exists());
    found.map_or_else(whole, |(file, key)| (file.into(), Some(key.into())))
}

/// Whether `name` has the extension of a graph file.
pub fn is_graph_file(name: &str) -> bool {
    GRAPHS.iter().any(|end| name.ends_with(end))
}

/// The file from which a network was opened, given the requested name and weights; `None` for hub names and bundled weights.
pub fn file_of(name: &str, weights: Option<&Path>) -> Option<PathBuf> {
    let named = !is_hub_name(name) && (is_weight_file(name) || is_graph_file(name));
    weights.map(PathBuf::from).or_else(|| named.then(|| name.into()))
}

/// The name and weights with which a network can be reopened, given the name on its card and the file from which it was opened.
pub fn again<'a>(name: &'a str, file: Option<&'a Path>) -> (&'a str, Option<&'a Path>) {
    match file.and_then(Path::to_str).filter(|file| is_graph_file(file)) {
        Some(graph) => (graph, None),
        None => (name, file),
    }
}

/// Whether `name` has the extension of a weight file.
pub fn is_weight_file(name: &str) -> bool {
    let (file, _) = split(Path::new(name));
    let ending = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ENDINGS.contains(&ending) || name.ends_with(INDEX)
}

/// A network's card values from sources other than its script, in order of increasing precedence: the class names stored in the weight
/// file `file`, torchvision's table, card files next to `file`, and flags.
pub fn sources(file: &Path, flags: &CardValues) -> Result<Vec<CardValues>> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let reading = || format!("reading \"{}\"", words::path(file));
    let labels = labels(file).with_context(reading)?;
    let labels = labels.map(|value| Given { value, source: Source::File { file: (*name).into() } });
    let own = CardValues { labels, ..CardValues::default() };
    Ok([vec![own, of_torchvision(&name)], beside(file)?, vec![flags.clone()]].concat())
}

/// The card values of a network without a weight file from sources other than the script `name`, in order of increasing precedence:
/// card files next to the script, if it is a file, and flags.
pub fn sources_without_weights(name: &str, flags: &CardValues) -> Result<Vec<CardValues>> {
    let beside = if name.ends_with(".rhai") { beside(Path::new(name))? } else { vec![] };
    Ok([beside, vec![flags.clone()]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn among_equal_architectures_the_one_that_timm_names_is_chosen_and_else_the_one_in_the_title() {
        let chosen = |name, timm: Option<&str>, among: &[&'static str]| {
            let title = Title { name, timm: timm.map(String::from), preferred: None };
            among.iter().copied().max_by_key(|name| title.likeness(name)).unwrap()
        };
        let tf = ["tf_efficientnet_b0", "timm_efficientnet_b0"];
        assert_eq!(chosen("efficientnet_b0.ra_in1k", Some("efficientnet_b0"), &tf), "timm_efficientnet_b0");
        assert_eq!(chosen("my_flowers", Some("tf_efficientnet_b0"), &tf), "tf_efficientnet_b0");
        let all = ["resnet18", "resnet50", "resnext50_32x4d"];
        assert_eq!(chosen("resnet50-11ad3fa6", None, &all), "resnet50");
        assert_eq!(chosen("model", Some("resnet18"), &all), "resnet18");
    }
}
