//! Reads the architectures declared by scripts in `models/` and builds their graphs.

pub mod checkpoints;
mod open_graph;
pub mod open_model;
pub mod model_fn;

use super::api::builder::{Handle, Purpose};
use super::api::options::{self, CallOptions};
use super::engine::compile::{protected, settled};
use super::engine::{engine, functions};
use super::folders::{Folders, ScriptSource};
use super::report::suggest;
use super::report::{Libraries, Texts};
use super::sandbox::guard::Guard;
use super::summary::{LayerRow, ModelCard, ModelRow, Report};
use crate::data::{Interpolation, source};
use crate::graph::Graph;
use crate::hub::{Access, Transfer};
use crate::model::card::{CardValues, ChannelOrder, Source, Sources, rows};
use crate::model::{Card, Model};
use crate::tensor::device_text;
use anyhow::{Context, Result, anyhow, bail, ensure};
use rhai::{AST, Dynamic, Engine, EvalAltResult, Map, Scope};
use std::path::Path;
use std::sync::Arc;

/// Field names of the constant `MODEL` in an architecture's script.
const FIELDS: [&str; 11] =
    ["names", "input", "resize", "interpolation", "mean", "std", "labels", "scores", "picture", "unused", "variants"];

/// All available architectures: those in the user's folders, then the embedded ones.
pub struct Architectures {
    folders: Folders,
    engine: Engine,
    guard: Arc<Guard>,
    /// Whether networks on hubs may be downloaded.
    hub: Access,
}

/// A compiled script from `models/` that defines one or more architectures.
struct Script {
    source: ScriptSource,
    ast: AST,
    names: Vec<String>,
    /// The constant `MODEL`.
    model: Map,
}

/// Why an architecture was not built.
enum Unbuilt {
    /// The script failed.
    Failed(anyhow::Error),
    /// In a strict build, the weight file lacks a parameter. Holds the number of parameters found before the missing one.
    Foreign(usize),
}

impl Architectures {
    /// Finds architectures in `folders`. `guard` limits their scripts.
    pub fn new(folders: Folders, guard: &Arc<Guard>) -> Self {
        Self { engine: engine(guard, folders.clone()), folders, guard: guard.clone(), hub: Access::CacheOnly }
    }

    /// Allows downloading networks specified by a hub name, reporting progress to `watch`. By default, such networks are opened
    /// only if they are in the hub's cache.
    pub fn with_downloads(self, watch: impl Fn(&Transfer) + Send + Sync + 'static) -> Self {
        let guard = self.guard.clone();
        let watch = move |transfer: &Transfer| {
            watch(transfer);
            guard.tick()
        };
        Self { hub: Access::Download(Arc::new(watch)), ..self }
    }

    /// Lists all architectures and the errors of files that could not be read.
    pub fn list(&self) -> (Vec<ModelRow>, Vec<anyhow::Error>) {
        let (scripts, errors) = self.scripts();
        let rows = scripts.iter().flat_map(|script| script.names.iter().map(|name| self.row(script, name)));
        (rows.collect(), errors)
    }

    /// Builds the architecture `name` and returns its card and its graph, without weights.
    ///
    /// Errors if there is no such architecture or its script fails.
    pub fn build(&self, name: &str) -> Result<(Card, Graph)> {
        self.build_with(name, &[])
    }

    /// Like [`build`](Self::build), with the card values of the script overridden by those in `sources`, which are in order of increasing
    /// precedence.
    pub fn build_with(&self, name: &str, sources: &[CardValues]) -> Result<(Card, Graph)> {
        let (script, name) = self.find(name)?;
        Ok(self.build_for(&script, &name, Purpose::default(), sources)?)
    }

    /// Builds the architecture `name` of `script` for the weights described by `purpose`.
    fn build_for(
        &self,
        script: &Script,
        name: &str,
        purpose: Purpose,
        sources: &[CardValues],
    ) -> Result<(Card, Graph), Unbuilt> {
        let resized = purpose.shapes.is_some();
        let (mut card, graph) = self.run(script, name, purpose, sources)?;
        let scores = script.options(name)?.raw("scores").map(options::text).transpose()?;
        let graph = graph
            .with_scores(scores.as_deref())
            .with_context(|| format!("building the architecture \"{}\"", card.name))?;
        let graph = graph.with_accumulation(self.guard.options().precision.accumulation);
        // The script's class names do not apply if the weights have a different number of classes.
        if resized && card.sources.labels == Source::default() && card.clone().fitted_to(&graph).is_err() {
            (card.labels, card.synonyms) = ([].into(), [].into());
        }
        Ok((card.fitted_to(&graph)?, graph))
    }

    /// The contents of a non-script file next to the scripts, such as labels or weights; `None` if it does not exist.
    pub(super) fn file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.folders.file(name)
    }

    fn row(&self, script: &Script, name: &str) -> ModelRow {
        let weights = self.file(&format!("{name}.safetensors")).is_ok_and(|file| file.is_some());
        ModelRow { name: name.into(), summary: script.summary(), weights }
    }

    fn scripts(&self) -> (Vec<Script>, Vec<anyhow::Error>) {
        let (mut scripts, mut errors) = (vec![], vec![]);
        for name in self.folders.names() {
            match self.folders.find(&name).and_then(|source| self.read(source.context("the script no longer exists")?))
            {
                Ok(script) => scripts.push(script),
                Err(error) => errors.push(error),
            }
        }
        (scripts, errors)
    }

    /// Finds the script that defines the architecture `name`, which may also be the path of a `.rhai` file with a single
    /// architecture. Returns the script and the name of the architecture.
    fn find(&self, name: &str) -> Result<(Script, String)> {
        if name.ends_with(".rhai") {
            let script = self.read(ScriptSource::read(Path::new(name))?)?;
            let names = script.names.join(", ");
            ensure!(
                script.names.len() == 1,
                "\"{name}\" defines several architectures; select one with -m and pass the folder of the file with --models: {names}"
            );
            return Ok((script, names));
        }
        let defines = |script: &Script| script.names.iter().any(|n| n == name);
        if let Some(script) = self.likely(name).find(defines) {
            return Ok((script, name.into()));
        }
        let (scripts, errors) = self.scripts();
        let names: Vec<_> = scripts.iter().flat_map(|s| s.names.clone()).collect();
        match scripts.into_iter().find(defines) {
            Some(script) => Ok((script, name.into())),
            None => Err(unknown(name, &names, errors)),
        }
    }

    /// The scripts that are named `name` or contain `name` as a string literal. Compiling these first usually avoids compiling the others.
    fn likely(&self, name: &str) -> impl Iterator<Item = Script> {
        let quoted = format!("\"{name}\"");
        let sources = self.folders.names().into_iter().filter_map(|script| self.folders.find(&script).ok().flatten());
        let likely = sources.filter(move |source| source.name == name || source.text.contains(&quoted));
        likely.filter_map(|source| self.read(source).ok())
    }

    /// Compiles a script and reads its constant `MODEL`.
    fn read(&self, source: ScriptSource) -> Result<Script> {
        self.guard.begin();
        let read = protected(&self.guard, || {
            let mut scope = Scope::new();
            let ast = self.engine.compile_into_self_contained(&scope, &source.text)?;
            self.engine.run_ast_with_scope(&mut scope, &ast)?;
            let model = scope.get_value::<Dynamic>("MODEL").map(|value| settled(value, "MODEL is")).transpose()?;
            Ok((ast, model.and_then(Dynamic::try_cast::<Map>)))
        });
        let (ast, model) = read.map_err(|e| self.report(&source, &e))?;
        let what = || format!("reading the architecture \"{}\"", source.name);
        let model = model.context("the script has no `const MODEL = #{ … };`").with_context(what)?;
        let options = CallOptions::new("MODEL", model.clone(), &FIELDS).with_context(what)?;
        let names = options.texts("names").with_context(what)?;
        let names = if names.is_empty() { vec![source.name.clone()] } else { names };
        let script = Script { source: source.clone(), ast, names, model };
        script.variants().and_then(|variants| known(variants.keys(), &script.names)).with_context(what)?;
        Ok(script)
    }

    /// Calls the script's `build(x)` or `build(x, name)` and returns the card and graph of the architecture `name`.
    fn run(
        &self,
        script: &Script,
        name: &str,
        purpose: Purpose,
        sources: &[CardValues],
    ) -> Result<(Card, Graph), Unbuilt> {
        let what = || format!("building the architecture \"{name}\"");
        let card = self.card(script, name, &purpose).with_context(what)?;
        let card = self.sized(script, name, card, &purpose).with_context(what)?;
        let card = card.with_values(sources).with_context(what)?;
        let input = Handle::input(&card.input, &card.mean, &card.std, purpose).with_context(what)?;
        let end = self.call(script, "build", name, &input);
        if let Some(found) = input.stopped() {
            return Err(Unbuilt::Foreign(found));
        }
        let end = end?;
        let end =
            end.with_context(|| format!("\"{}\" needs a function build(x) or build(x, name)", script.source.name))?;
        let kind = end.type_name();
        let end = end.clone().try_cast::<Handle>();
        let end = end.with_context(|| format!("build must return the last node, got {kind}")).with_context(what)?;
        let graph = end.finish()?;
        let graph = card.in_channel_order(graph).with_context(what)?;
        Ok((card, graph))
    }

    /// The card, adjusted to the picture size returned by the script's `size(x)` or `size(x, name)`, if the script defines this function.
    /// The weights may have been trained on pictures of a different size.
    fn sized(&self, script: &Script, name: &str, card: Card, purpose: &Purpose) -> Result<Card> {
        let probe = Handle::input(&card.input, &card.mean, &card.std, Purpose { strict: false, ..purpose.clone() })?;
        let Some(size) = self.call(script, "size", name, &probe)? else { return Ok(card) };
        let (height, width) = options::attribute(&size).pair().context("fn size must return the picture size")?;
        let [channels, old, _] = card.input;
        let resize = card.resize.map(|side| (side * height).div_ceil(old));
        Ok(Card { input: [channels, height, width], resize, ..card })
    }

    /// Calls a function of the script with `(x)` or `(x, name)`; `None` if the script does not define it.
    fn call(&self, script: &Script, function: &str, name: &str, x: &Handle) -> Result<Option<Dynamic>> {
        let x = Dynamic::from(x.clone());
        let arguments = match script.ast.iter_functions().find(|f| f.name == function).map(|f| f.params.len()) {
            Some(1) => vec![x],
            Some(2) => vec![x, name.into()],
            _ => return Ok(None),
        };
        self.guard.begin();
        let value = protected(&self.guard, || {
            let value = self.engine.call_fn::<Dynamic>(&mut Scope::new(), &script.ast, function, arguments)?;
            settled(value, &format!("fn {function} returned"))
        });
        Ok(Some(value.map_err(|e| self.report(&script.source, &e))?))
    }

    fn report(&self, source: &ScriptSource, error: &EvalAltResult) -> Report {
        let texts = Texts { name: &source.name, text: &source.text, libraries: &Libraries::default() };
        Report::run(&texts, error, None, || functions(&self.engine))
    }

    /// The card of the architecture `name`, adapted to the number of channels in `purpose` if specified. A strict build has no class names.
    fn card(&self, script: &Script, name: &str, purpose: &Purpose) -> Result<Card> {
        let o = &script.options(name)?;
        let input = o.sizes("input")?;
        let input =
            input.try_into().ok().context("`input` of MODEL must be the input shape, [channels, height, width]")?;
        let [own, height, width]: [usize; 3] = input;
        let channels = purpose.sizes.channels.unwrap_or(own);
        let resize = if o.has("resize") { Some(o.size("resize", 0)?) } else { None };
        let (mean, std) = (per_channel(o, "mean", 0.0, own)?, per_channel(o, "std", 1.0, own)?);
        let (mean, std) = (for_channels(mean, channels), for_channels(std, channels));
        let (labels, synonyms) = if purpose.strict { (vec![], vec![]) } else { self.labels(o)? };
        let picture = o.raw("picture").map(options::text).transpose()?.filter(|_| channels == own);
        let picture = picture.unwrap_or_else(|| source::own(channels).into());
        let (name, summary) = (name.to_string(), script.summary());
        let (labels, synonyms) = (labels.into(), synonyms.into());
        let interpolation = o.raw("interpolation").map(options::text).transpose()?;
        let interpolation =
            interpolation.map(|name| name.parse::<Interpolation>().context("interpolation")).transpose()?;
        let (interpolation, sources) = (interpolation.unwrap_or_default(), Sources::default());
        let input = [channels, height, width];
        Ok(Card {
            name,
            summary,
            input,
            resize,
            interpolation,
            mean,
            std,
            labels,
            synonyms,
            picture,
            channel_order: ChannelOrder::Rgb,
            output: None,
            sources,
        })
    }

    /// Reads class names, given as a list or as the name of a file in `models/labels`. The synonyms of each class
    /// (`n02111889, Samoyed, Samoyede`) are read from the synonyms file next to the labels, if there is one.
    fn labels(&self, o: &CallOptions) -> Result<(Vec<String>, Vec<Vec<String>>)> {
        let Some(file) = o.raw("labels").and_then(|v| options::text(v).ok()) else {
            return Ok((o.texts("labels")?, vec![]));
        };
        self.listed(&file)
    }

    /// The class names in the file `labels/NAME.txt` next to the scripts, and their synonyms, if any.
    fn listed(&self, file: &str) -> Result<(Vec<String>, Vec<Vec<String>>)> {
        let labels = self.lines(&format!("labels/{file}.txt"))?;
        let labels = labels.with_context(|| format!("no class names \"{file}\": labels/{file}.txt is missing"))?;
        let name = format!("labels/{file}.synonyms.txt");
        let synonyms = self.lines(&name)?.unwrap_or_default();
        let (lines, wanted) = (synonyms.len(), labels.len());
        ensure!(
            lines == 0 || lines == wanted,
            "{name} has {lines} lines for {wanted} classes; expected one line per class"
        );
        let names = |line: &String| line.split(", ").map(String::from).collect();
        Ok((labels, synonyms.iter().map(names).collect()))
    }

    /// The lines of the text file `name` next to the scripts; `None` if it does not exist.
    fn lines(&self, name: &str) -> Result<Option<Vec<String>>> {
        let Some(bytes) = self.file(name)? else { return Ok(None) };
        let text = String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"))?;
        Ok(Some(text.lines().map(String::from).collect()))
    }
}

impl From<anyhow::Error> for Unbuilt {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Unbuilt> for anyhow::Error {
    fn from(error: Unbuilt) -> Self {
        match error {
            Unbuilt::Failed(error) => error,
            Unbuilt::Foreign(found) => anyhow!("the weight file contains only the first {found} parameters"),
        }
    }
}

impl Script {
    /// The fields that differ between architectures, by architecture name.
    fn variants(&self) -> Result<Map> {
        let variants = self.model.get("variants").cloned().unwrap_or_else(|| Map::new().into());
        variants.try_cast::<Map>().context("`variants` must map names to fields: #{ name: #{ field: value } }")
    }

    /// The fields of `MODEL` for the architecture `name`, with its overrides from `variants`.
    fn options(&self, name: &str) -> Result<CallOptions> {
        let mut fields = self.model.clone();
        let own = self.variants()?.get(name).map(|own| own.clone().try_cast::<Map>());
        fields.extend(
            own.map(|own| own.context("each entry of `variants` must be a map of fields"))
                .transpose()?
                .unwrap_or_default(),
        );
        CallOptions::new("MODEL", fields, &FIELDS)
    }

    /// The first line of the script's `//!` comment.
    fn summary(&self) -> String {
        let doc = self.ast.doc().lines().next();
        doc.unwrap_or_default().trim_start_matches("//!").trim().to_string()
    }
}

/// Describes a model as plain values.
pub fn card(model: &Model) -> ModelCard {
    describe(&model.card, &model.graph)
}

/// Describes a network, with or without weights, as plain values. Classes without a name are labeled with their index.
pub fn describe(card: &Card, graph: &Graph) -> ModelCard {
    ModelCard {
        name: card.name.clone(),
        device: place_text(graph),
        card: rows(card),
        origins: card.origins(),
        layers: layers(graph),
        labels: (0..graph.classes()).map(|class| card.label(class)).collect(),
        parameters: graph.nodes.iter().map(|n| n.parameter_count()).sum(),
    }
}

/// Formats the device and precision of a network, such as `cpu` or `cuda:0, bf16`; f32 is omitted.
fn place_text(graph: &Graph) -> String {
    let device = device_text(&graph.device());
    match graph.precision().to_string().as_str() {
        "f32" => device,
        precision => format!("{device}, {precision}"),
    }
}

/// Describes the layers of a network as plain values, in execution order.
pub fn layers(graph: &Graph) -> Vec<LayerRow> {
    let row = |node: &crate::graph::Node| LayerRow {
        name: node.name.clone(),
        kind: node.op.kind().into(),
        shape: node.shape[1..].to_vec(),
        parameters: node.parameter_count(),
        shape_arithmetic: node.op.spec().is_shape_arithmetic(),
    };
    graph.nodes.iter().map(row).collect()
}

/// The error for an unknown architecture. If a file could not be read, its error is returned instead, since that file may
/// define the architecture.
fn unknown(name: &str, names: &[String], errors: Vec<anyhow::Error>) -> anyhow::Error {
    if let Some(error) = errors.into_iter().next() {
        return error.context(format!("no readable architecture named \"{name}\""));
    }
    anyhow!(suggest::unknown("architecture", name, names))
}

/// Errors if a name in `variants` is not among `names`.
fn known<'a>(mut variants: impl Iterator<Item = &'a rhai::Identifier>, names: &[String]) -> Result<()> {
    match variants.find(|name| !names.iter().any(|known| known == name.as_str())) {
        Some(name) => bail!("in `variants`, {}", suggest::unknown("architecture", name, names)),
        None => Ok(()),
    }
}

fn per_channel(o: &CallOptions, key: &str, default: f64, channels: usize) -> Result<Vec<f64>> {
    let values = o.numbers(key)?;
    let values = if values.is_empty() { vec![default; channels] } else { values };
    ensure!(values.len() == channels, "{key} has {} values for {channels} channels", values.len());
    Ok(values)
}

/// Converts per-channel values to `channels` values: unchanged if the number is the same, otherwise their mean for every channel.
fn for_channels(values: Vec<f64>, channels: usize) -> Vec<f64> {
    let count = values.len();
    if count == channels { values } else { vec![values.iter().sum::<f64>() / count as f64; channels] }
}
