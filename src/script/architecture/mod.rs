//! Reads the architectures that scripts in `models/` declare, and builds their graphs.

mod open_graph;
pub mod open_model;
pub mod model_fn;

use super::api::builder::Handle;
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
use crate::model::card::{CardValues, Sources, rows};
use crate::model::{Card, Model};
use crate::tensor::device_text;
use anyhow::{Context, Result, anyhow, bail, ensure};
use rhai::{AST, Dynamic, Engine, EvalAltResult, Map, Scope};
use std::path::Path;
use std::sync::Arc;

/// Names of the fields that the constant `MODEL` of an architecture's script may have.
const FIELDS: [&str; 9] = ["names", "input", "resize", "interpolation", "mean", "std", "labels", "scores", "picture"];

/// All available architectures: first those in the user's folders, then the embedded architectures.
pub struct Architectures {
    folders: Folders,
    engine: Engine,
    guard: Arc<Guard>,
}

/// A compiled script from `models/`, which defines one or more architectures.
struct Script {
    source: ScriptSource,
    ast: AST,
    names: Vec<String>,
    options: CallOptions,
}

impl Architectures {
    /// Finds architectures in `folders`; `guard` limits their scripts.
    pub fn new(folders: Folders, guard: &Arc<Guard>) -> Self {
        Self { engine: engine(guard, folders.clone()), folders, guard: guard.clone() }
    }

    /// Lists all architectures, and the errors of the files that cannot be read.
    pub fn list(&self) -> (Vec<ModelRow>, Vec<anyhow::Error>) {
        let (scripts, errors) = self.scripts();
        let rows = scripts.iter().flat_map(|script| script.names.iter().map(|name| self.row(script, name)));
        (rows.collect(), errors)
    }

    /// Builds the architecture `name` and returns its card and its graph, without weights.
    ///
    /// Errors if there is no such architecture (the message suggests similar names), or if its script fails (the message
    /// gives the line).
    pub fn build(&self, name: &str) -> Result<(Card, Graph)> {
        self.build_with(name, &[])
    }

    /// Like [`build`](Self::build), with the values that `sources` give, from the weakest to the strongest, in place of the script's.
    pub fn build_with(&self, name: &str, sources: &[CardValues]) -> Result<(Card, Graph)> {
        let (script, name) = self.find(name)?;
        let (card, graph) = self.run(&script, &name, sources)?;
        let scores = script.options.raw("scores").map(options::text).transpose()?;
        let graph = graph
            .with_scores(scores.as_deref())
            .with_context(|| format!("building the architecture \"{}\"", card.name))?;
        let graph = graph.with_accumulation(self.guard.options().precision.accumulation);
        Ok((card.fitted_to(&graph)?, graph))
    }

    /// The content of a file next to the scripts that is not a script itself, such as labels or weights; `None` if there is no
    /// such file.
    pub(super) fn file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.folders.file(name)
    }

    /// The names of all architectures whose scripts can be read.
    pub(super) fn names(&self) -> Vec<String> {
        self.scripts().0.into_iter().flat_map(|script| script.names).collect()
    }

    fn row(&self, script: &Script, name: &str) -> ModelRow {
        let weights = self.file(&format!("{name}.safetensors")).is_ok_and(|file| file.is_some());
        ModelRow { name: name.into(), summary: script.summary(), weights }
    }

    fn scripts(&self) -> (Vec<Script>, Vec<anyhow::Error>) {
        let (mut scripts, mut errors) = (vec![], vec![]);
        for name in self.folders.names() {
            match self.folders.find(&name).and_then(|source| self.read(source.context("it no longer exists")?)) {
                Ok(script) => scripts.push(script),
                Err(error) => errors.push(error),
            }
        }
        (scripts, errors)
    }

    /// Finds the script that defines the architecture `name`; `name` may also be the path of a `.rhai` file with a single
    /// architecture. Returns the script and the name of the architecture.
    fn find(&self, name: &str) -> Result<(Script, String)> {
        if name.ends_with(".rhai") {
            let script = self.read(ScriptSource::read(Path::new(name))?)?;
            let names = script.names.join(", ");
            ensure!(
                script.names.len() == 1,
                "\"{name}\" defines several architectures; choose one with -m and give its folder with --models: {names}"
            );
            return Ok((script, names));
        }
        let (scripts, errors) = self.scripts();
        let names: Vec<_> = scripts.iter().flat_map(|s| s.names.clone()).collect();
        match scripts.into_iter().find(|script| script.names.iter().any(|n| n == name)) {
            Some(script) => Ok((script, name.into())),
            None => Err(unknown(name, &names, errors)),
        }
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
        let model = model.context("it has no `const MODEL = #{ … };`").with_context(what)?;
        let options = CallOptions::new("MODEL", model, &FIELDS).with_context(what)?;
        let names = options.texts("names").with_context(what)?;
        let names = if names.is_empty() { vec![source.name.clone()] } else { names };
        Ok(Script { source, ast, names, options })
    }

    /// Runs the script's function `build(x)` or `build(x, name)` and returns the card and the graph of the architecture `name`.
    fn run(&self, script: &Script, name: &str, sources: &[CardValues]) -> Result<(Card, Graph)> {
        let what = || format!("building the architecture \"{name}\"");
        let card = self.card(script, name).and_then(|card| card.with_values(sources)).with_context(what)?;
        let x = Dynamic::from(Handle::input(&card.input, &card.mean, &card.std).with_context(what)?);
        let build = script.ast.iter_functions().find(|f| f.name == "build");
        let arguments = match build.map(|f| f.params.len()) {
            Some(1) => vec![x],
            Some(2) => vec![x, name.into()],
            _ => bail!("\"{}\" needs a function build(x) or build(x, name)", script.source.name),
        };
        self.guard.begin();
        let end = protected(&self.guard, || {
            let end = self.engine.call_fn::<Dynamic>(&mut Scope::new(), &script.ast, "build", arguments)?;
            settled(end, "fn build returned")
        });
        let end = end.map_err(|e| self.report(&script.source, &e))?;
        let kind = end.type_name();
        let end = end.clone().try_cast::<Handle>();
        let end = end.with_context(|| format!("build must return the last node, got {kind}")).with_context(what)?;
        Ok((card, end.finish()?))
    }

    fn report(&self, source: &ScriptSource, error: &EvalAltResult) -> Report {
        let texts = Texts { name: &source.name, text: &source.text, libraries: &Libraries::default() };
        Report::run(&texts, error, None, || functions(&self.engine))
    }

    fn card(&self, script: &Script, name: &str) -> Result<Card> {
        let o = &script.options;
        let input = o.sizes("input")?;
        let input = input.try_into().ok().context("MODEL needs the input size as input: [channels, height, width]")?;
        let [channels, ..]: [usize; 3] = input;
        let resize = if o.has("resize") { Some(o.size("resize", 0)?) } else { None };
        let (mean, std) = (per_channel(o, "mean", 0.0, channels)?, per_channel(o, "std", 1.0, channels)?);
        let (labels, synonyms) = self.labels(o)?;
        let picture = o.raw("picture").map(options::text).transpose()?;
        let picture = picture.unwrap_or_else(|| source::own(channels).into());
        let (name, summary) = (name.to_string(), script.summary());
        let (labels, synonyms) = (labels.into(), synonyms.into());
        let interpolation = o.raw("interpolation").map(options::text).transpose()?;
        let interpolation =
            interpolation.map(|name| name.parse::<Interpolation>().context("interpolation")).transpose()?;
        let (interpolation, sources) = (interpolation.unwrap_or_default(), Sources::default());
        Ok(Card { name, summary, input, resize, interpolation, mean, std, labels, synonyms, picture, sources })
    }

    /// Reads class names, which are given as a list or as the name of a file in `models/labels`. Synonyms of each class
    /// (`n02111889, Samoyed, Samoyede`) are read from the synonyms file next to it, if there is one.
    fn labels(&self, o: &CallOptions) -> Result<(Vec<String>, Vec<Vec<String>>)> {
        let Some(file) = o.raw("labels").and_then(|v| options::text(v).ok()) else {
            return Ok((o.texts("labels")?, vec![]));
        };
        self.listed(&file)
    }

    /// The class names in the file `labels/NAME.txt` next to the scripts, and their synonyms, if there are any.
    fn listed(&self, file: &str) -> Result<(Vec<String>, Vec<Vec<String>>)> {
        let labels = self.lines(&format!("labels/{file}.txt"))?;
        let labels = labels.with_context(|| format!("no class names \"{file}\": labels/{file}.txt is missing"))?;
        let name = format!("labels/{file}.synonyms.txt");
        let synonyms = self.lines(&name)?.unwrap_or_default();
        let (lines, wanted) = (synonyms.len(), labels.len());
        ensure!(
            lines == 0 || lines == wanted,
            "{name} has {lines} lines for {wanted} classes; it needs one line per class"
        );
        let names = |line: &String| line.split(", ").map(String::from).collect();
        Ok((labels, synonyms.iter().map(names).collect()))
    }

    /// The lines of the text file `name` next to the scripts; `None` if there is no such file.
    fn lines(&self, name: &str) -> Result<Option<Vec<String>>> {
        let Some(bytes) = self.file(name)? else { return Ok(None) };
        let text = String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"))?;
        Ok(Some(text.lines().map(String::from).collect()))
    }
}

impl Script {
    /// The first line of the script's `//!` comment.
    fn summary(&self) -> String {
        let doc = self.ast.doc().lines().next();
        doc.unwrap_or_default().trim_start_matches("//!").trim().to_string()
    }
}

/// Describes an open model as plain values.
pub fn card(model: &Model) -> ModelCard {
    describe(&model.card, &model.graph)
}

/// Describes a network, with or without weights, as plain values; a class without a name is labeled with its number.
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

/// Formats the device and precision of a network: `cpu`, or `cuda:0, bf16` if not in f32.
fn place_text(graph: &Graph) -> String {
    let device = device_text(&graph.device());
    match graph.precision().to_string().as_str() {
        "f32" => device,
        precision => format!("{device}, {precision}"),
    }
}

/// Describes the layers of a network as plain values, in order of execution.
pub fn layers(graph: &Graph) -> Vec<LayerRow> {
    let row = |node: &crate::graph::Node| LayerRow {
        name: node.name.clone(),
        kind: node.op.kind().into(),
        shape: node.shape[1..].to_vec(),
        parameters: node.parameter_count(),
    };
    graph.nodes.iter().map(row).collect()
}

/// The error for an unknown architecture. If a file could not be read, it may have defined that architecture, so its error is
/// returned instead.
fn unknown(name: &str, names: &[String], errors: Vec<anyhow::Error>) -> anyhow::Error {
    if let Some(error) = errors.into_iter().next() {
        return error.context(format!("no architecture named \"{name}\" among those that can be read"));
    }
    anyhow!(suggest::unknown("architecture", name, names))
}

fn per_channel(o: &CallOptions, key: &str, default: f64, channels: usize) -> Result<Vec<f64>> {
    let values = o.numbers(key)?;
    let values = if values.is_empty() { vec![default; channels] } else { values };
    ensure!(values.len() == channels, "{key} has {} values for {channels} channels", values.len());
    Ok(values)
}
