//! Finds, compiles and caches the libraries that scripts import.

use super::captured::Captures;
use super::libraries::{CompiledLibraries, imported};
use crate::script::folders::Folders;
use crate::script::report::{Libraries, raise_at};
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

/// A compiled library, with its own source code and that of all libraries it imports, by name.
struct Compiled {
    ast: AST,
    texts: Libraries,
}

thread_local! {
    /// The names of the libraries being imported on this thread, outermost first.
    static IMPORTING: RefCell<Vec<String>> = const { RefCell::new(vec![]) };
}

impl Resolver {
    /// Stores the source code of each library that is imported in `read`.
    pub fn new(folders: Folders, read: CompiledLibraries) -> Self {
        Self { folders, read, compiled: Mutex::default() }
    }

    fn library(&self, engine: &Engine, path: &str, position: Position) -> Result<AST, Box<EvalAltResult>> {
        let circle = IMPORTING.with_borrow(|open| {
            let from = open.iter().position(|p| p == path)?;
            Some(open[from..].iter().map(String::as_str).chain([path]).collect::<Vec<_>>().join(" -> "))
        });
        if let Some(circle) = circle {
            return Err(raise_at(anyhow::anyhow!("circular import: {circle}"), position));
        }
        match self.unchanged(path) {
            Some(ast) => Ok(ast),
            None => self.compile(engine, path, position),
        }
    }

    /// The compiled library, if it was compiled before and none of its texts has changed since.
    fn unchanged(&self, path: &str) -> Option<AST> {
        let compiled = self.compiled.lock_unpoisoned();
        let library = compiled.get(path)?;
        let same = |(name, text): (&String, &String)| {
            self.folders.find(name).ok().flatten().is_some_and(|source| source.text == *text)
        };
        if !library.texts.iter().all(same) {
            return None;
        }
        library.texts.iter().for_each(|(name, text)| self.read.add(name, text));
        Some(library.ast.clone())
    }

    fn compile(&self, engine: &Engine, path: &str, position: Position) -> Result<AST, Box<EvalAltResult>> {
        let missing = || EvalAltResult::ErrorModuleNotFound(path.into(), position);
        let source = self.folders.find(path).map_err(|e| raise_at(e, position))?.ok_or_else(missing)?;
        self.read.add(path, &source.text);
        IMPORTING.with_borrow_mut(|open| open.push(path.into()));
        let ast = engine.compile_into_self_contained(&Scope::new(), &source.text);
        IMPORTING.with_borrow_mut(Vec::pop);
        let mut ast = ast.map_err(|e| Box::new(EvalAltResult::ErrorInModule(path.into(), e, position)))?;
        self.read.set_captures(path, Captures::of(&ast));
        ast.set_source(path);
        let mut texts = (*imported(&source.text, &self.read.libraries())).clone();
        texts.insert(path.into(), source.text);
        self.compiled.lock_unpoisoned().insert(path.into(), Compiled { ast: ast.clone(), texts: texts.into() });
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
