//! The host: finds, compiles and calls methods.

use super::engine::{self, Read};
use super::folders::{Folders, Source};
use super::guard::Guard;
use super::message::{MethodRow, Report};
use super::method::Method;
use super::report::{Texts, raise};
use anyhow::{Error, Result, anyhow, bail};
use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, FuncArgs, Map, Scope};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Once};

/// An engine with the folders that its scripts come from.
pub struct Host {
    guard: Arc<Guard>,
    plugins: Folders,
    models: Folders,
    engine: Engine,
    read: Read,
}

impl Host {
    /// A host that looks for methods and architectures in these folders.
    pub fn new(plugins: Folders, models: Folders) -> Self {
        quiet_panics();
        let guard = Arc::new(Guard::default());
        let read = Read::default();
        let engine = engine::engine_that_tells(&guard, plugins.clone(), read.clone());
        Self { guard, plugins, models, engine, read }
    }

    /// What cancels its scripts.
    pub fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    /// Where methods come from.
    pub fn plugins(&self) -> &Folders {
        &self.plugins
    }

    /// Where architectures come from.
    pub fn models(&self) -> &Folders {
        &self.models
    }

    /// The method of this name, or of this `.rhai` file.
    ///
    /// Errors carry a [`Report`] where the script is at fault.
    pub fn method(&self, name: &str) -> Result<Method> {
        if name.ends_with(".rhai") {
            return self.compile(Source::read(Path::new(name))?);
        }
        match self.plugins.find(name)? {
            Some(source) => self.compile(source),
            None => bail!("{}", self.unknown(name)),
        }
    }

    /// An open method anew, from the file it came from.
    pub(super) fn again(&self, method: &Method) -> Result<Method> {
        self.compile(method.source.again(&self.plugins)?)
    }

    /// Compiles a method and reads its declarations.
    pub fn compile(&self, source: Source) -> Result<Method> {
        self.guard.begin();
        let (name, text) = (source.name.clone(), source.text.clone());
        if text.trim().is_empty() {
            bail!("the script \"{name}\" is empty; is it still being written?");
        }
        let declared = protected(|| self.declarations(&text));
        let libraries = self.read.libraries();
        let texts = Texts { name: &name, text: &text, libraries: &libraries };
        let (ast, plugin) = declared.map_err(|e| self.report(&texts, &e, None))?;
        let method = Method::new(source, ast, plugin, libraries.clone());
        method.map_err(|e| Report::at_text(&name, &text, "const PLUGIN", format!("{e:#}")).into())
    }

    fn declarations(&self, text: &str) -> Result<(AST, Option<Map>), Box<EvalAltResult>> {
        let mut scope = Scope::new();
        let ast = self.engine.compile_into_self_contained(&scope, text)?;
        self.engine.run_ast_with_scope(&mut scope, &ast)?;
        let plugin = scope.get_value::<Dynamic>("PLUGIN").and_then(Dynamic::try_cast::<Map>);
        Ok((ast, plugin))
    }

    /// Calls a function of a method.
    pub(super) fn call(&self, method: &Method, function: &str, args: impl FuncArgs) -> Result<Dynamic> {
        self.guard.begin();
        let options = CallFnOptions::new().eval_ast(true).rewind_scope(true);
        let answer = protected(|| {
            self.engine.call_fn_with_options::<Dynamic>(options, &mut Scope::new(), &method.ast, function, args)
        });
        answer.map_err(|e| self.report(&method.texts(), &e, Some(function)))
    }

    /// All methods; those that do not compile with the line of their error.
    pub fn methods(&self) -> Vec<MethodRow> {
        self.plugins.names().into_iter().map(|name| self.row(name)).collect()
    }

    fn row(&self, name: String) -> MethodRow {
        let path = self.plugins.find(&name).ok().flatten().and_then(|s| s.path);
        match self.method(&name) {
            Ok(m) => MethodRow { name, group: m.group.clone(), summary: m.summary().into(), path, broken: None },
            Err(e) => {
                let line = e.downcast_ref::<Report>().and_then(|r| r.place.as_ref()).map_or(1, |p| p.1);
                MethodRow { name, group: String::new(), summary: format!("{e:#}"), path, broken: Some(line) }
            }
        }
    }

    fn unknown(&self, name: &str) -> String {
        let names = self.plugins.names();
        format!("no method named \"{name}\"; known are {}", names.join(", "))
    }

    fn report(&self, texts: &Texts, error: &EvalAltResult, function: Option<&str>) -> Error {
        Report::run(texts, error, function, &engine::functions(&self.engine)).into()
    }
}

thread_local! {
    /// Whether a script runs on this thread, whose panics are told as errors.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a script; a panic in native code is an error of the script.
pub(super) fn protected<T>(f: impl FnOnce() -> Result<T, Box<EvalAltResult>>) -> Result<T, Box<EvalAltResult>> {
    let before = GUARDED.replace(true);
    let answer = catch_unwind(AssertUnwindSafe(f));
    GUARDED.set(before);
    answer.unwrap_or_else(|panic| {
        let text =
            panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
        Err(raise(anyhow!("gradscope itself failed inside this script: {}", text.unwrap_or_default())))
    })
}

/// Panics inside scripts print nothing: they are told as errors.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info);
            }
        }));
    });
}
