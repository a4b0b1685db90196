//! The script engine, which blocks file access and stops infinite loops and runaway recursion.

mod builtins;
pub mod captured;
pub mod compile;

use super::api;
use super::folders::Folders;
use super::report::{Libraries, raise, raise_at};
use super::sandbox::bounded_text;
use super::sandbox::guard::Guard;
use super::sandbox::limits;
use crate::sync::LockUnpoisoned;
use captured::Captures;
use rhai::packages::{Package, StandardPackage};
use rhai::{
    AST, Engine, EvalAltResult, FLOAT, INT, Module, ModuleResolver, OptimizationLevel, Position, Scope, Shared,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The source code of each library compiled by an engine, as last read, and the variables that the library captures and assigns.
#[derive(Clone, Default)]
pub(super) struct CompiledLibraries {
    texts: Arc<Mutex<Libraries>>,
    captures: Arc<Mutex<BTreeMap<String, Captures>>>,
}

impl CompiledLibraries {
    /// The source code of all libraries, by name.
    pub fn libraries(&self) -> Libraries {
        self.texts.lock_unpoisoned().clone()
    }

    /// Merges the libraries in `self` with `others`, which takes precedence for equal names.
    pub fn and(&self, others: &Libraries) -> Libraries {
        let mut all = self.libraries();
        if !all.is_empty() {
            Arc::make_mut(&mut all).extend(others.iter().map(|(name, text)| (name.clone(), text.clone())));
            return all;
        }
        others.clone()
    }

    /// Stores the source code of the library `name`.
    pub fn add(&self, name: &str, text: &str) {
        let mut libraries = self.texts.lock_unpoisoned();
        Arc::make_mut(&mut libraries).insert(name.into(), text.into());
    }

    /// The names of variables captured and assigned by a script and its `libraries`.
    pub fn captures(&self, ast: &AST, libraries: &Libraries) -> Captures {
        let mut all = Captures::of(ast);
        let known = self.captures.lock_unpoisoned();
        libraries.keys().filter_map(|name| known.get(name)).for_each(|captures| all.add(captures));
        all
    }
}

/// Creates an engine that resolves imports in `folders`.
pub(super) fn engine(guard: &Arc<Guard>, folders: Folders) -> Engine {
    engine_that_tells(guard, folders, CompiledLibraries::default())
}

/// Creates an engine that resolves imports in `folders` and stores the source code of each imported library in `read`.
pub(super) fn engine_that_tells(guard: &Arc<Guard>, folders: Folders, read: CompiledLibraries) -> Engine {
    let mut engine = Engine::new_raw();
    StandardPackage::new().register_into_engine(&mut engine);
    limit(&mut engine);
    let counter = guard.clone();
    engine.on_progress(move |_| counter.count().map(Into::into));
    engine.set_module_resolver(Resolver { folders, read });
    engine.on_print(|_| {}).on_debug(|_, _, _| {});
    numbers(&mut engine);
    bounded_text::register(&mut engine);
    builtins::register(&mut engine);
    captured::register(&mut engine);
    api::register(&mut engine, guard);
    engine
}

/// The signatures of all functions available to scripts.
pub(super) fn functions(engine: &Engine) -> Vec<String> {
    engine.gen_fn_signatures(true)
}

fn limit(engine: &mut Engine) {
    engine.disable_symbol("eval");
    engine.set_strict_variables(true);
    engine.set_fail_on_invalid_map_property(true);
    engine.set_fast_operators(false);
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_call_levels(64).set_max_expr_depths(64, 64).set_max_functions(512).set_max_variables(1024);
    engine.set_max_modules(64).set_max_string_size(limits::STRING);
    engine.set_max_array_size(limits::ARRAY).set_max_map_size(limits::MAP);
}

/// Registers integer division that errors if the result is inexact, mathematical functions of integers, and a `sleep` that always
/// errors.
fn numbers(engine: &mut Engine) {
    engine.register_fn("/", divide);
    engine.register_fn("/=", |a: &mut INT, b: INT| -> Result<(), Box<EvalAltResult>> {
        *a = divide(*a, b)?;
        Ok(())
    });
    engine.register_fn("sleep", |_: INT| Err::<(), _>(no_sleep()));
    engine.register_fn("sleep", |_: FLOAT| Err::<(), _>(no_sleep()));
    for name in ["sqrt", "exp", "ln", "log"] {
        let f: fn(f64) -> f64 = match name {
            "sqrt" => f64::sqrt,
            "exp" => f64::exp,
            _ => f64::ln,
        };
        engine.register_fn(name, move |x: INT| f(x as FLOAT));
    }
}

fn divide(a: INT, b: INT) -> Result<INT, Box<EvalAltResult>> {
    match a.checked_rem(b) {
        None => Err(raise(anyhow::anyhow!("{a} / {b}: division by zero"))),
        Some(0) => Ok(a / b),
        Some(_) => Err(raise(anyhow::anyhow!("{a} / {b} is not an integer, although both operands are"))),
    }
}

fn no_sleep() -> Box<EvalAltResult> {
    raise(anyhow::anyhow!("scripts cannot sleep; to animate a method, run it in steps"))
}

/// Resolves imports by name in the script folders. Circular imports are errors.
struct Resolver {
    folders: Folders,
    read: CompiledLibraries,
}

thread_local! {
    /// The names of the libraries being imported on this thread, outermost first.
    static IMPORTING: RefCell<Vec<String>> = const { RefCell::new(vec![]) };
}

impl Resolver {
    fn compile(&self, engine: &Engine, path: &str, position: Position) -> Result<AST, Box<EvalAltResult>> {
        let circle = IMPORTING.with_borrow(|open| {
            let from = open.iter().position(|p| p == path)?;
            Some(open[from..].iter().map(String::as_str).chain([path]).collect::<Vec<_>>().join(" -> "))
        });
        if let Some(circle) = circle {
            return Err(raise_at(anyhow::anyhow!("circular import: {circle}"), position));
        }
        let missing = || EvalAltResult::ErrorModuleNotFound(path.into(), position);
        let source = self.folders.find(path).map_err(|e| raise_at(e, position))?.ok_or_else(missing)?;
        self.read.add(path, &source.text);
        IMPORTING.with_borrow_mut(|open| open.push(path.into()));
        let ast = engine.compile_into_self_contained(&Scope::new(), &source.text);
        IMPORTING.with_borrow_mut(Vec::pop);
        let mut ast = ast.map_err(|e| Box::new(EvalAltResult::ErrorInModule(path.into(), e, position)))?;
        self.read.captures.lock_unpoisoned().insert(path.into(), Captures::of(&ast));
        ast.set_source(path);
        Ok(ast)
    }
}

impl ModuleResolver for Resolver {
    fn resolve(
        &self,
        engine: &Engine,
        _: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let ast = self.compile(engine, path, position)?;
        Module::eval_ast_as_new(Scope::new(), &ast, engine).map(Into::into)
    }

    fn resolve_ast(
        &self,
        engine: &Engine,
        _: Option<&str>,
        path: &str,
        position: Position,
    ) -> Option<Result<AST, Box<EvalAltResult>>> {
        Some(self.compile(engine, path, position))
    }
}
