//! Finds, compiles and caches the libraries that scripts import.

use super::captured::Captures;
use super::libraries::CompiledLibraries;
use crate::script::folders::Folders;
use crate::script::report::raise_at;
use crate::sync::LockUnpoisoned;
use rhai::{AST, Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Resolves imports by name in the script folders. Circular imports are errors. A library is compiled again only if its text, or that of a
/// library it imports, has changed.
pub(super) struct Resolver {
    folders: Folders,
    read: CompiledLibraries,
    compiled: Mutex<BTreeMap<String, Compiled>>,
}

/// Source code of libraries by name.
type Sources = BTreeMap<String, String>;

/// A compiled library, with its own source code and that of all libraries compiled into it.
struct Compiled {
    ast: AST,
    sources: Sources,
}

/// A library that is being compiled: its name, and the sources of the libraries compiled into it so far.
type Importing = (String, Sources);

thread_local! {
    /// The libraries that are being compiled on this thread, outermost first.
    static IMPORTING: RefCell<Vec<Importing>> = const { RefCell::new(vec![]) };
}

impl Resolver {
    /// Stores the source code of each library that is imported in `read`.
    pub fn new(folders: Folders, read: CompiledLibraries) -> Self {
        Self { folders, read, compiled: Mutex::default() }
    }

    fn library(&self, engine: &Engine, path: &str, position: Position) -> Result<AST, Box<EvalAltResult>> {
        let circle = IMPORTING.with_borrow(|open| {
            let from = open.iter().position(|(name, _)| name == path)?;
            Some(open[from..].iter().map(|(name, _)| name.as_str()).chain([path]).collect::<Vec<_>>().join(" -> "))
        });
        if let Some(circle) = circle {
            return Err(raise_at(anyhow::anyhow!("circular import: {circle}"), position));
        }
        let (ast, sources) = match self.unchanged(path) {
            Some(compiled) => compiled,
            None => self.compile(engine, path, position)?,
        };
        IMPORTING.with_borrow_mut(|open| {
            if let Some((_, of_importer)) = open.last_mut() {
                of_importer.extend(sources);
            }
        });
        Ok(ast)
    }

    /// The compiled library and its sources, if it was compiled before and none of the sources has changed since.
    fn unchanged(&self, path: &str) -> Option<(AST, Sources)> {
        let compiled = self.compiled.lock_unpoisoned();
        let library = compiled.get(path)?;
        let same = |(name, text): (&String, &String)| {
            self.folders.find(name).ok().flatten().is_some_and(|source| source.text == *text)
        };
        if !library.sources.iter().all(same) {
            return None;
        }
        library.sources.iter().for_each(|(name, text)| self.read.add(name, text));
        Some((library.ast.clone(), library.sources.clone()))
    }

    fn compile(&self, engine: &Engine, path: &str, position: Position) -> Result<(AST, Sources), Box<EvalAltResult>> {
        let missing = || EvalAltResult::ErrorModuleNotFound(path.into(), position);
        let source = self.folders.find(path).map_err(|e| raise_at(e, position))?.ok_or_else(missing)?;
        self.read.add(path, &source.text);
        IMPORTING.with_borrow_mut(|open| open.push((path.into(), Sources::new())));
        let ast = engine.compile_into_self_contained(&Scope::new(), &source.text);
        let (_, mut sources) = IMPORTING.with_borrow_mut(Vec::pop).unwrap_or_default();
        let mut ast = ast.map_err(|e| Box::new(EvalAltResult::ErrorInModule(path.into(), e, position)))?;
        self.read.set_captures(path, Captures::of(&ast));
        ast.set_source(path);
        sources.insert(path.into(), source.text);
        let compiled = Compiled { ast: ast.clone(), sources: sources.clone() };
        self.compiled.lock_unpoisoned().insert(path.into(), compiled);
        Ok((ast, sources))
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
        let ast = self.library(engine, path, position)?;
        Module::eval_ast_as_new(Scope::new(), &ast, engine).map(Into::into)
    }

    fn resolve_ast(
        &self,
        engine: &Engine,
        _: Option<&str>,
        path: &str,
        position: Position,
    ) -> Option<Result<AST, Box<EvalAltResult>>> {
        Some(self.library(engine, path, position))
    }
}
