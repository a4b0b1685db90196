//! Programs: scripts for `gradscope exec` that can run several methods.
//!
//! A program runs from top to bottom. It can call all functions available to methods, as well as `run`, `train`, `evaluate`,
//! `model`, `show` and `save`.

mod run;
pub mod test;
mod train;

use super::api::figures;
use super::architecture::model_fn;
use super::engine::compile::{protected, report};
use super::engine::{CompiledLibraries, engine_that_tells};
use super::export;
use super::folders::ScriptSource;
use super::host::Host;
use super::method::context::Observer;
use super::report::{Texts, raise};
use crate::model::Model;
use crate::render::Figure;
use crate::sync::LockUnpoisoned;
use anyhow::{Error, Result};
use rhai::{Array, Dynamic, Engine, ImmutableString, Map, Scope};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Receives the output of a program.
pub trait Console: Send + Sync {
    /// Prints a line of the program's output. Errors if the line cannot be printed.
    fn print(&self, line: &str) -> Result<()>;
    /// Draws a figure shown by the program.
    fn draw(&self, figure: &Figure) -> Result<()>;
    /// Reports a note about the program's progress.
    fn say(&self, line: &str);
    /// The observer of figures and progress from methods run by the program.
    fn observer(&self) -> Arc<dyn Observer>;
}

/// The state shared by a program's functions.
#[derive(Clone)]
struct Setting {
    host: Arc<Host>,
    desk: Arc<dyn Console>,
    /// The network of runs that name none; `None` for the built-in one.
    model: Option<Model>,
    /// The first error that occurred while printing, if any.
    unprinted: Arc<Mutex<Option<Error>>>,
}

/// Runs a program. `args` is available to the script as an array of strings.
///
/// Errors if the script fails (including the position), is cancelled, or `desk` cannot print its output.
pub fn run(host: Arc<Host>, source: &ScriptSource, args: &[String], desk: Arc<dyn Console>) -> Result<()> {
    Setting::new(host, desk).execute(source, args, |_| {})
}

impl Setting {
    fn new(host: Arc<Host>, desk: Arc<dyn Console>) -> Self {
        Self { host, desk, model: None, unprinted: Arc::default() }
    }

    /// Runs a program; `register` adds further functions.
    fn execute(&self, source: &ScriptSource, args: &[String], register: impl FnOnce(&mut Engine)) -> Result<()> {
        let guard = self.host.guard();
        let read = CompiledLibraries::default();
        let mut engine = self.engine(&read);
        register(&mut engine);
        guard.begin();
        let ran = protected(guard, || {
            let mut scope = Scope::new();
            scope.push_constant("args", args.iter().map(|a| Dynamic::from(a.clone())).collect::<Array>());
            let ast = engine.compile_into_self_contained(&scope, &source.text)?;
            engine.set_default_tag(Dynamic::from(read.captures(&ast, &read.libraries()).constants()));
            engine.run_ast_with_scope(&mut scope, &ast)
        });
        guard.notes().iter().for_each(|note| self.desk.say(note));
        if let Some(error) = self.unprinted.lock_unpoisoned().take() {
            return Err(error);
        }
        let libraries = read.libraries();
        let texts = Texts { name: &source.name, text: &source.text, libraries: &libraries };
        ran.map_err(|e| report(&engine, &texts, &e, None))
    }

    fn engine(&self, read: &CompiledLibraries) -> Engine {
        let guard = self.host.guard();
        let mut engine = engine_that_tells(guard, self.host.plugins().clone(), read.clone());
        let own = self.clone();
        model_fn::register(&mut engine, guard, self.host.models(), move |note| own.desk.say(note));
        let own = self.clone();
        engine.on_print(move |line| own.tried(own.desk.print(line)));
        let own = self.clone();
        engine.on_debug(move |value, _, place| own.desk.say(&format!("{place:?} {value}")));
        let own = self.clone();
        engine.register_fn("show", move |answer: Dynamic| own.show(answer).map_err(raise));
        engine.register_fn("save", |answer: Dynamic, folder: &str| {
            let written = figures(answer).and_then(|all| export::figures(Path::new(folder), &all, export::paint));
            written.map(drop).map_err(raise)
        });
        let own = self.clone();
        engine.register_fn("run", move |method: &str| own.run(method, Map::new()).map_err(raise));
        let own = self.clone();
        engine.register_fn("run", move |method: &str, options: Map| own.run(method, options).map_err(raise));
        let own = self.clone();
        engine.register_fn("train", move |model: &str, options: Map| own.train(model, options).map_err(raise));
        let own = self.clone();
        engine.register_fn("evaluate", move |model, data: ImmutableString| own.evaluate(&model, &data).map_err(raise));
        engine
    }

    fn show(&self, answer: Dynamic) -> Result<()> {
        figures(answer)?.iter().try_for_each(|figure| self.desk.draw(figure))
    }

    /// Ends the program if `printed`, the result of printing its output, is an error.
    fn tried(&self, printed: Result<()>) {
        if let Err(error) = printed {
            self.unprinted.lock_unpoisoned().get_or_insert(error);
            self.host.guard().cancel();
        }
    }
}
