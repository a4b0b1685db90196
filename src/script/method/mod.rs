//! A method: a script with its declared parameters, compiled.

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
    /// Its name: the file's without `.rhai`.
    pub name: String,
    /// Its group: `attribution`, `attack`, …; as `PLUGIN` says, else its folder, else `attribution`.
    pub group: String,
    /// Its `//!` doc.
    pub doc: String,
    /// Its parameters as declared.
    pub params: Vec<Param>,
    /// Whether it has `start`, `step` and `view` instead of `run`.
    pub stepped: bool,
    /// Whether one run answers for a whole batch, each row by itself.
    pub batched: bool,
    /// Whether it is an attack, which has nothing to do where the network is fooled already.
    pub attack: bool,
    /// Whether convolutions are summed directly also where Winograd's transforms would be faster: it magnifies rounding.
    pub exact: bool,
    /// The text that was compiled, and where it came from.
    pub source: Arc<ScriptSource>,
    pub(super) ast: Arc<AST>,
    /// Captured variables that it never assigns.
    pub(super) constants: Constants,
    libraries: Libraries,
}

impl Method {
    /// From a compiled script and its `PLUGIN` constant.
    pub(super) fn new(
        source: ScriptSource,
        (ast, constants): (AST, Constants),
        plugin: Option<Map>,
        libraries: Libraries,
    ) -> Result<Self> {
        let mut plugin = plugin.context("it has no `const PLUGIN = #{ params: [ … ] };`")?;
        let group = match plugin.remove("group") {
            Some(group) => group.into_string().map_err(|other| anyhow!("PLUGIN's `group` is a text, got {other}"))?,
            None => source.group.clone().unwrap_or_else(|| GROUP.into()),
        };
        let params = plugin.remove("params").map_or(Ok(vec![]), |p| params(p.try_cast::<Array>()))?;
        let mut switch = |name: &str| {
            let value = plugin.remove(name).map_or(Ok(false), |b| b.as_bool());
            value.map_err(|other| anyhow!("PLUGIN's `{name}` is true or false, got {other}"))
        };
        let (batched, exact) = (switch("batched")?, switch("exact")?);
        let attack = switch("attack")? || group == "attack";
        if let Some(wrong) = plugin.keys().next() {
            bail!("PLUGIN has no field \"{wrong}\"; known are group, params, batched, exact, attack");
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

    /// What was compiled, for reports.
    pub(super) fn texts(&self) -> Texts<'_> {
        Texts { name: &self.name, text: &self.source.text, libraries: &self.libraries }
    }

    /// An error in what one of its functions gave.
    pub(super) fn wrong(&self, function: &str, error: &anyhow::Error) -> Report {
        Report::at_text(&self.name, &self.source.text, &format!("fn {function}("), format!("{error:#}"))
    }

    /// The texts of libraries, as they were when it was compiled.
    pub(super) fn libraries(&self) -> &Libraries {
        &self.libraries
    }

    /// The libraries that were read when it was compiled.
    pub(crate) fn library_names(&self) -> impl Iterator<Item = &str> {
        self.libraries.keys().map(String::as_str)
    }

    /// Its text with those of the libraries, as it was compiled.
    pub(crate) fn all_text(&self) -> String {
        self.libraries.values().fold(self.source.text.clone(), |all, text| all + text.as_str())
    }

    /// Where its random numbers come from: methods that others ask have one stream, all others another.
    pub(super) fn stream(&self) -> u64 {
        u64::from(!["attribution", "attack"].contains(&self.group.as_str()))
    }

    /// The first line of its doc.
    pub fn summary(&self) -> &str {
        self.doc.lines().next().unwrap_or_default()
    }
}

fn params(list: Option<Array>) -> Result<Vec<Param>> {
    let list = list.context("PLUGIN's `params` is an array of param(…)")?;
    let param = |v: Dynamic| v.try_cast::<Param>().ok_or_else(|| anyhow!("PLUGIN's `params` holds param(…) only"));
    let params = list.into_iter().map(param).collect::<Result<Vec<_>>>()?;
    for (i, p) in params.iter().enumerate() {
        ensure!(params[..i].iter().all(|q| q.name != p.name), "parameter \"{}\" is declared twice", p.name);
    }
    Ok(params)
}

/// Whether it is stepped; the functions it must have, with their numbers of arguments.
fn form(ast: &AST) -> Result<bool> {
    let has = |name: &str, count: usize| ast.iter_functions().any(|f| f.name == name && f.params.len() == count);
    let stepped = has("start", 1) && has("step", 2) && has("view", 2);
    ensure!(stepped || has("run", 1), "a method has fn run(cx), or fn start(cx), fn step(cx, s) and fn view(cx, s)");
    ensure!(!(stepped && has("run", 1)), "a method has either fn run(cx), or start, step and view, not both");
    Ok(stepped)
}
