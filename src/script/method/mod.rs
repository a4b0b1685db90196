//! A method: a compiled script with its declared parameters.

pub mod params;
pub mod remarks;
pub mod data;
pub mod context;
pub mod needs;

use super::engine::captured::Constants;
use super::folders::{GROUP, ScriptSource};
use super::report::{Libraries, Texts};
use super::summary::Report;
use crate::model::Model;
use anyhow::{Context, Result, anyhow, bail, ensure};
use needs::Need;
use params::Param;
use rhai::{AST, Array, Dynamic, Map};
use std::sync::Arc;

/// A compiled method.
#[derive(Clone, Debug)]
pub struct Method {
    /// Name of the method: the file name of its script without `.rhai`.
    pub name: String,
    /// Group of the method, such as `attack`, declared in `PLUGIN` or determined by the folder [default: `attribution`].
    pub group: String,
    /// The script's entire `//!` comment.
    pub doc: String,
    /// The parameters declared by the method.
    pub params: Vec<Param>,
    /// Whether the method runs in steps, with functions `start`, `step` and `view` instead of `run`.
    pub stepped: bool,
    /// Whether a single run can process a batch of pictures, each independently of the others.
    pub batched: bool,
    /// Whether the method is an attack, which is skipped if the picture already fools the network.
    pub attack: bool,
    /// Whether to use direct convolution even where Winograd transforms are faster, because the method amplifies rounding errors.
    pub exact: bool,
    /// Whether the result depends only on the network, the parameters and the data set, so that it stays when another picture is opened.
    pub ignores_picture: bool,
    /// What the method needs besides a network and a picture.
    pub needs: Vec<Need>,
    /// The compiled source code and its origin.
    pub source: Arc<ScriptSource>,
    pub(super) ast: Arc<AST>,
    /// Variables that are captured by closures and never assigned.
    pub(super) constants: Constants,
    libraries: Libraries,
}

impl Method {
    /// The model as run by the method: with direct convolution if the method is declared `exact`.
    pub(in crate::script) fn exactly(&self, model: &Model) -> Model {
        if self.exact { model.exact() } else { model.clone() }
    }

    /// Creates a method from a compiled script and its `PLUGIN` constant.
    pub(super) fn new(
        source: ScriptSource,
        (ast, constants): (AST, Constants),
        plugin: Option<Map>,
        libraries: Libraries,
    ) -> Result<Self> {
        let mut plugin = plugin.context("the script has no `const PLUGIN = #{ params: [ … ] };`")?;
        let group = match plugin.remove("group") {
            Some(group) => {
                group.into_string().map_err(|other| anyhow!("PLUGIN's `group` must be a string, got {other}"))?
            }
            None => source.group.clone().unwrap_or_else(|| GROUP.into()),
        };
        let needs = plugin.remove("needs").map_or(Ok(vec![]), needs)?;
        let params = plugin.remove("params").map_or(Ok(vec![]), |p| params(p.try_cast::<Array>()))?;
        let mut switch = |name: &str| {
            let value = plugin.remove(name).map_or(Ok(false), |b| b.as_bool());
            value.map_err(|other| anyhow!("PLUGIN's `{name}` must be true or false, got {other}"))
        };
        let (batched, exact, ignores_picture) = (switch("batched")?, switch("exact")?, switch("ignores_picture")?);
        let attack = switch("attack")? || group == "attack";
        if let Some(wrong) = plugin.keys().next() {
            bail!(
                "PLUGIN has no field \"{wrong}\"; its fields are group, params, needs, batched, exact, attack, ignores_picture"
            );
        }
        let stepped = form(&ast)?;
        let doc = ast.doc().lines().map(|l| l.trim_start_matches("//!").trim()).collect::<Vec<_>>().join("\n");
        Ok(Self {
            name: source.name.clone(),
            group,
            doc,
            params,
            stepped,
            batched,
            attack,
            exact,
            ignores_picture,
            needs,
            source: Arc::new(source),
            ast: Arc::new(ast),
            constants,
            libraries,
        })
    }

    /// The compiled source code of the method and its libraries, for error reports.
    pub(super) fn texts(&self) -> Texts<'_> {
        Texts { name: &self.name, text: &self.source.text, libraries: &self.libraries }
    }

    /// A report that the result of the method's function `function` is invalid, located at that function.
    pub(super) fn wrong(&self, function: &str, error: &anyhow::Error) -> Report {
        Report::at_text(&self.name, &self.source.text, &format!("fn {function}("), format!("{error:#}"))
    }

    /// The compiled source code of the libraries that the method imports.
    pub(super) fn libraries(&self) -> &Libraries {
        &self.libraries
    }

    /// The names of the libraries that the method imports.
    pub(crate) fn library_names(&self) -> impl Iterator<Item = &str> {
        self.libraries.keys().map(String::as_str)
    }

    /// The compiled source code of the method, followed by that of its libraries.
    pub(crate) fn all_text(&self) -> String {
        self.libraries.values().fold(self.source.text.clone(), |all, text| all + text.as_str())
    }

    /// The random stream of the method: 0 for attributions and attacks, which other methods call, and 1 for all other groups.
    pub(super) fn stream(&self) -> u64 {
        u64::from(!["attribution", "attack"].contains(&self.group.as_str()))
    }

    /// What the method cannot tell: the line `Limits: …` of the script's `//!` comment, without that word; empty if there is none.
    pub fn limits(&self) -> &str {
        self.doc.lines().find_map(|line| line.strip_prefix("Limits: ")).unwrap_or_default()
    }

    /// The first line of the script's `//!` comment.
    pub fn summary(&self) -> &str {
        self.doc.lines().next().unwrap_or_default()
    }
}

/// Reads `needs: ["data"]`.
fn needs(list: Dynamic) -> Result<Vec<Need>> {
    let names = list.try_cast::<Array>().context("PLUGIN's `needs` must be an array of names, such as [\"data\"]")?;
    let name =
        |name: Dynamic| name.into_string().map_err(|t| anyhow!("PLUGIN's `needs` may contain only strings, got {t}"));
    names.into_iter().map(|entry| Need::named(&name(entry)?)).collect()
}

fn params(list: Option<Array>) -> Result<Vec<Param>> {
    let list = list.context("PLUGIN's `params` must be an array of param(…)")?;
    let param =
        |v: Dynamic| v.try_cast::<Param>().ok_or_else(|| anyhow!("PLUGIN's `params` may contain only param(…)"));
    let params = list.into_iter().map(param).collect::<Result<Vec<_>>>()?;
    for (i, p) in params.iter().enumerate() {
        ensure!(params[..i].iter().all(|q| q.name != p.name), "parameter \"{}\" is declared twice", p.name);
    }
    Ok(params)
}

/// Whether the compiled script `ast` is a stepped method. Errors unless the script defines the functions of either a one-shot or a
/// stepped method.
fn form(ast: &AST) -> Result<bool> {
    let has = |name: &str, count: usize| ast.iter_functions().any(|f| f.name == name && f.params.len() == count);
    let stepped = has("start", 1) && has("step", 2) && has("view", 2);
    ensure!(stepped || has("run", 1), "a method needs fn run(cx), or fn start(cx), fn step(cx, s) and fn view(cx, s)");
    ensure!(!(stepped && has("run", 1)), "a method must define either fn run(cx) or start, step and view, not both");
    Ok(stepped)
}
