//! The host, which finds, compiles and calls methods.

pub mod call_method;
pub mod fooled;
pub mod reference;

use super::architecture::model_fn;
use super::engine::compile::{self, protected};
use super::engine::{self, CompiledLibraries};
use super::folders::{Folders, ScriptSource};
use super::method::Method;
use super::report::Texts;
use super::report::suggest::unknown;
use super::sandbox::guard::Guard;
use super::summary::{MethodRow, Report};
use crate::exec::RunOptions;
use crate::panics;
use anyhow::{Result, bail};
use call_method::MethodCaller;
use rhai::{Dynamic, Engine, FuncArgs};
use std::path::Path;
use std::sync::Arc;

/// A script engine and the folders of its scripts.
pub struct Host {
    guard: Arc<Guard>,
    plugins: Folders,
    models: Folders,
    engine: Engine,
    read: CompiledLibraries,
    /// The source code of methods called by other methods.
    asked: CompiledLibraries,
}

impl Host {
    /// Creates a host that finds methods in `plugins` and architectures in `models`; networks run on the CPU in f32 with direct
    /// convolution.
    pub fn new(plugins: Folders, models: Folders) -> Self {
        Self::with_options(plugins, models, RunOptions::default())
    }

    /// Like [`new`](Self::new), but networks run on the device and with the precision of `options`.
    pub fn with_options(plugins: Folders, models: Folders, options: RunOptions) -> Self {
        panics::quiet();
        let guard = Arc::new(Guard::new(options));
        let read = CompiledLibraries::default();
        let mut engine = engine::engine_that_tells(&guard, plugins.clone(), read.clone());
        let asked = CompiledLibraries::default();
        call_method::register(
            &mut engine,
            &guard,
            MethodCaller { folders: plugins.clone(), read: read.clone(), asked: asked.clone() },
        );
        model_fn::register(&mut engine, &guard, &models, |_| ());
        Self { guard, plugins, models, engine, read, asked }
    }

    /// The signatures of the functions available to scripts.
    pub(super) fn signatures(&self) -> Vec<String> {
        engine::functions(&self.engine)
    }

    /// Definition files for editors, which describe the functions available to scripts, as pairs of file name and contents.
    pub(super) fn definitions(&self) -> Vec<(String, String)> {
        self.engine.definitions().with_headers(true).iter_files().collect()
    }

    /// The guard that limits and cancels this host's scripts.
    pub fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    /// The folders searched for methods.
    pub fn plugins(&self) -> &Folders {
        &self.plugins
    }

    /// The folders searched for architectures.
    pub fn models(&self) -> &Folders {
        &self.models
    }

    /// Compiles the method named `name`, which may also be the path of a `.rhai` file.
    ///
    /// Errors if there is no such method or its script does not compile. Errors in the script carry a [`Report`].
    pub fn method(&self, name: &str) -> Result<Method> {
        if name.ends_with(".rhai") {
            return self.compile(self.plugins.read(Path::new(name))?);
        }
        // Method names contain no slash: groups are not part of the name, and libraries are not methods.
        let found = if name.contains('/') { None } else { self.plugins.find(name)? };
        match found {
            Some(source) => self.compile(source),
            None => bail!("{}", unknown("method", name, &self.plugins.names())),
        }
    }

    /// The method that replaces an attack if the picture already fools the network.
    pub(super) fn idle(&self) -> Result<Method> {
        self.compile(fooled::idle())
    }

    /// Recompiles an open method from the current version of its file.
    pub(crate) fn again(&self, method: &Method) -> Result<Method> {
        self.compile(method.source.again(&self.plugins)?)
    }

    /// Compiles a method and reads its declarations.
    pub fn compile(&self, source: ScriptSource) -> Result<Method> {
        self.guard.begin();
        compile::compile(&self.engine, &self.guard, &self.read, source)
    }

    /// Calls the function `function` of a method on a deep stack, within the limits for scripts.
    pub(super) fn call(&self, method: &Method, function: &str, args: impl FuncArgs + Send) -> Result<Dynamic> {
        self.guard.begin();
        let answer = protected(&self.guard, || compile::call(&self.engine, method, function, args));
        answer.map_err(|e| {
            let libraries = self.asked.and(method.libraries());
            compile::report(&self.engine, &Texts { libraries: &libraries, ..method.texts() }, &e, Some(function))
        })
    }

    /// Lists all methods. A method that does not compile is listed with the line of its error.
    pub fn methods(&self) -> Vec<MethodRow> {
        self.plugins.names().into_iter().map(|name| self.row(name)).collect()
    }

    /// The row of a compiled method.
    pub fn row_of(&self, method: &Method) -> MethodRow {
        MethodRow {
            name: method.name.clone(),
            group: method.group.clone(),
            summary: method.summary().into(),
            limits: method.limits().into(),
            path: method.source.path.clone(),
            broken: None,
            own: self.plugins.is_own(&method.source),
            needs: method.needs.clone(),
            unmet: None,
        }
    }

    fn row(&self, name: String) -> MethodRow {
        let source = self.plugins.find(&name).ok().flatten();
        match self.method(&name) {
            Ok(m) => MethodRow { path: source.and_then(|source| source.path), ..self.row_of(&m) },
            Err(e) => {
                let line = e.downcast_ref::<Report>().and_then(|r| r.place.as_ref()).map_or(1, |p| p.1);
                MethodRow {
                    name,
                    group: String::new(),
                    summary: format!("{e:#}"),
                    limits: String::new(),
                    own: source.as_ref().is_some_and(|source| self.plugins.is_own(source)),
                    path: source.and_then(|source| source.path),
                    broken: Some(line),
                    needs: vec![],
                    unmet: None,
                }
            }
        }
    }
}
