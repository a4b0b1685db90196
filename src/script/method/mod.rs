//! A method: a compiled script with its declared parameters.

pub mod params;
pub mod remarks;
pub mod data;
pub mod context;

use super::engine::captured::Constants;
use super::folders::{GROUP, ScriptSource};
use super::report::{Libraries, Texts};
use super::summary::Report;
use anyhow::{Context, Result, anyhow, bail, ensure};
use params::Param;
use rhai::{AST, Array, Dynamic, Map};
use std::sync::Arc;

/// A compiled method.
#[derive(Clone, Debug)]
pub struct Method {
    /// Its name: the file name without `.rhai`.
    pub name: String,
    /// Its group: `attribution`, `attack`, …; from `PLUGIN`, else its folder, else `attribution`.
    pub group: String,
    /// Its `//!` comment.
    pub doc: String,
    /// Its declared parameters.
    pub params: Vec<Param>,
    /// Whether it has `start`, `step` and `view` instead of `run`.
    pub stepped: bool,
    /// Whether one run can process a whole batch, each row independently.
    pub batched: bool,
    /// Whether it is an attack, which has nothing to do if the network is already fooled.
    pub attack: bool,
    /// Whether convolutions use direct sums even where Winograd's transforms are faster, because the method magnifies rounding errors.
    pub exact: bool,
    /// The compiled text and its origin.
    pub source: Arc<ScriptSource>,
    pub(super) ast: Arc<AST>,
    /// Captured variables that it never assigns.
    pub(super) constants: Constants,
    libraries: Libraries,
}

impl Method {
    /// A method from a compiled script and its `PLUGIN` constant.
    pub(super) fn new(
        source: ScriptSource,
        (ast, constants): (AST, Constants),
        plugin: Option<Map>,
        libraries: Libraries,
    ) -> Result<Self> {
        let mut plugin = plugin.context("it has no `const PLUGIN = #{ params: [ … ] };`")?;
        let group = match plugin.remove("group") {
            Some(group) => {
                group.into_string().map_err(|other| anyhow!("PLUGIN's `group` must be a string, got {other}"))?
            }
            None => source.group.clone().unwrap_or_else(|| GROUP.into()),
        };
        let params = plugin.remove("params").map_or(Ok(vec![]), |p| params(p.try_cast::<Array>()))?;
        let mut switch = |name: &str| {
            let value = plugin.remove(name).map_or(Ok(false), |b| b.as_bool());
            value.map_err(|other| anyhow!("PLUGIN's `{name}` must be true or false, got {other}"))
        };
        let (batched, exact) = (switch("batched")?, switch("exact")?);
        let attack = switch("attack")? || group == "attack";
        if let Some(wrong) = plugin.keys().next() {
            bail!("PLUGIN has no field \"{wrong}\"; its fields are group, params, batched, exact, attack");
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
            source: Arc::new(source),
            ast: Arc::new(ast),
            constants,
            libraries,
        })
    }

    /// The compiled texts, for reports.
    pub(super) fn texts(&self) -> Texts<'_> {
        Texts { name: &self.name, text: &self.source.text, libraries: &self.libraries }
    }

    /// A report of an error in the result of one of its functions.
    pub(super) fn wrong(&self, function: &str, error: &anyhow::Error) -> Report {
        Report::at_text(&self.name, &self.source.text, &format!("fn {function}("), format!("{error:#}"))
    }

    /// The texts of its libraries, as of compilation.
    pub(super) fn libraries(&self) -> &Libraries {
        &self.libraries
    }

    /// The names of its libraries.
    pub(crate) fn library_names(&self) -> impl Iterator<Item = &str> {
        self.libraries.keys().map(String::as_str)
    }

    /// Its text followed by those of its libraries, as of compilation.
    pub(crate) fn all_text(&self) -> String {
        self.libraries.values().fold(self.source.text.clone(), |all, text| all + text.as_str())
    }

    /// The stream of its random numbers: one for methods that others call, another for the rest.
    pub(super) fn stream(&self) -> u64 {
        u64::from(!["attribution", "attack"].contains(&self.group.as_str()))
    }

    /// The first line of its `//!` comment.
    pub fn summary(&self) -> &str {
        self.doc.lines().next().unwrap_or_default()
    }
}

fn params(list: Option<Array>) -> Result<Vec<Param>> {
    let list = list.context("PLUGIN's `params` must be an array of param(…)")?;
    let param = |v: Dynamic| v.try_cast::<Param>().ok_or_else(|| anyhow!("PLUGIN's `params` may only hold param(…)"));
    let params = list.into_iter().map(param).collect::<Result<Vec<_>>>()?;
    for (i, p) in params.iter().enumerate() {
        ensure!(params[..i].iter().all(|q| q.name != p.name), "parameter \"{}\" is declared twice", p.name);
    }
    Ok(params)
}

/// Whether a method is stepped. Errors if it does not define the required functions.
fn form(ast: &AST) -> Result<bool> {
    let has = |name: &str, count: usize| ast.iter_functions().any(|f| f.name == name && f.params.len() == count);
    let stepped = has("start", 1) && has("step", 2) && has("view", 2);
    ensure!(stepped || has("run", 1), "a method needs fn run(cx), or fn start(cx), fn step(cx, s) and fn view(cx, s)");
    ensure!(!(stepped && has("run", 1)), "a method defines either fn run(cx), or start, step and view, not both");
    Ok(stepped)
}
