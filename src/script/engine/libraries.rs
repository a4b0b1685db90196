//! The libraries that an engine has compiled.

use super::captured::Captures;
use crate::script::report::Libraries;
use crate::sync::LockUnpoisoned;
use rhai::AST;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The source code of each library compiled by an engine, as last read, and the variables that the library captures and assigns.
#[derive(Clone, Default)]
pub(in crate::script) struct CompiledLibraries {
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

    /// Stores the variables that the library `name` captures and assigns.
    pub fn set_captures(&self, name: &str, captures: Captures) {
        self.captures.lock_unpoisoned().insert(name.into(), captures);
    }

    /// The names of variables captured and assigned by a script and its `libraries`.
    pub fn captures(&self, ast: &AST, libraries: &Libraries) -> Captures {
        let mut all = Captures::of(ast);
        let known = self.captures.lock_unpoisoned();
        libraries.keys().filter_map(|name| known.get(name)).for_each(|captures| all.add(captures));
        all
    }
}
