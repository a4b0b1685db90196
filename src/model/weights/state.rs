//! Finds the named tensors in a pickle of a `state_dict`, a checkpoint with several state dicts, or a whole module.

use super::pickle::{Object, Pickle, PickleValue, shown};
use crate::model::python::{NoTensors, Saved};
use anyhow::{Result, bail, ensure};
use std::collections::{BTreeMap, HashSet};

/// Maximum nesting depth of state dicts and modules.
const MAX_DEPTH: usize = 32;

/// Maximum total length of all names in a file, in bytes.
const NAMES: usize = 64 << 20;

/// A state dict in a pickle: tensors by name, as indices into the heap.
#[derive(Debug, Default)]
pub struct Names {
    /// Path of the state dict within the checkpoint, such as `optimizer.state.0`; empty at the root.
    pub key: String,
    /// Heap index of each tensor, by name.
    pub tensors: BTreeMap<String, usize>,
    /// Tensors that could not be read because they are created by an unsupported PyTorch function: name of the tensor, and name of the
    /// function.
    pub unread: BTreeMap<String, String>,
    /// How the tensors were saved.
    pub saved: Saved,
}

/// Finds all state dicts in a pickle, in file order; everything else is ignored.
///
/// Errors if there are no tensors, if the names are too long in total, or if modules are nested too deeply.
pub fn state_dicts(pickle: &Pickle) -> Result<Vec<Names>> {
    let mut search = Search { pickle, seen: HashSet::new(), found: Vec::new(), bytes: 0 };
    search.walk(pickle.root, String::new(), 0)?;
    if search.found.is_empty() {
        let saved = module(pickle).map_or(Saved::Other, Saved::Module);
        bail!(NoTensors { what: without(pickle), saved });
    }
    Ok(search.found)
}

/// The class of the module at the root of a pickle, such as `nets.Net`; `None` if the root is not a module.
pub fn module(pickle: &Pickle) -> Option<String> {
    let PickleValue::Object(object) = pickle.root else { return None };
    let object = &pickle.heap.objects[object];
    let search = Search { pickle, seen: HashSet::new(), found: Vec::new(), bytes: 0 };
    search.is_module(object).then(|| class(object))
}

/// The class of an object, qualified by its module, for display.
fn class(object: &Object) -> String {
    let (module, name) = object.class;
    format!("{}.{}", shown(module), shown(name))
}

struct Search<'a> {
    pickle: &'a Pickle<'a>,
    seen: HashSet<Container>,
    found: Vec<Names>,
    bytes: usize,
}

/// A container in a pickle, identified by its index in the heap.
#[derive(PartialEq, Eq, Hash)]
enum Container {
    List(usize),
    Dict(usize),
    Object(usize),
}

type Item<'a> = (PickleValue<'a>, PickleValue<'a>);

impl<'a> Search<'a> {
    fn walk(&mut self, value: PickleValue<'a>, key: String, depth: usize) -> Result<()> {
        let heap = &self.pickle.heap;
        let container = match value {
            PickleValue::List(list) => Container::List(list),
            PickleValue::Dict(dict) => Container::Dict(dict),
            PickleValue::Object(object) => Container::Object(object),
            _ => return Ok(()),
        };
        if depth > MAX_DEPTH || !self.seen.insert(container) {
            return Ok(());
        }
        match value {
            PickleValue::List(list) => {
                for (i, &item) in heap.lists[list].iter().enumerate() {
                    self.inner(item, &key, &i.to_string(), depth)?;
                }
            }
            PickleValue::Dict(dict) => self.items(&heap.dicts[dict], key, depth)?,
            PickleValue::Object(object) => {
                let object = &heap.objects[object];
                if self.is_module(object) {
                    let saved = Saved::Module(class(object));
                    let mut names = Names { key, saved, ..Names::default() };
                    self.module(object, "", &mut names, 0)?;
                    self.keep(names);
                    return Ok(());
                }
                self.items(&object.items, key.clone(), depth)?;
                self.items(self.attributes(object), key, depth)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn items(&mut self, items: &'a [Item<'a>], key: String, depth: usize) -> Result<()> {
        let mut names = Names { key: key.clone(), ..Names::default() };
        for (name, value) in items {
            if let PickleValue::Text(name) = name {
                self.name(&mut names, name, *value)?;
            }
        }
        self.keep(names);
        for (name, value) in items {
            match name {
                PickleValue::Text(name) => self.inner(*value, &key, name, depth)?,
                PickleValue::Int(name) => self.inner(*value, &key, &name.to_string(), depth)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Searches `value`, which is stored under `name` in the container with path `key`, for state dicts.
    fn inner(&mut self, value: PickleValue<'a>, key: &str, name: &str, depth: usize) -> Result<()> {
        if !matches!(value, PickleValue::List(_) | PickleValue::Dict(_) | PickleValue::Object(_)) {
            return Ok(());
        }
        self.spend(key.len() + name.len())?;
        self.walk(value, joined(key, name), depth + 1)
    }

    /// Collects the parameters and persistent buffers of a module and its submodules, prepending `prefix` to their names.
    fn module(&mut self, module: &'a Object<'a>, prefix: &str, names: &mut Names, depth: usize) -> Result<()> {
        ensure!(
            depth <= MAX_DEPTH,
            "the modules are nested more than {MAX_DEPTH} levels deep; save model.state_dict()"
        );
        let pickle = self.pickle;
        let passing = strings(pickle, self.attribute(module, "_non_persistent_buffers_set"));
        for kind in ["_parameters", "_buffers"] {
            for &(name, value) in self.entries(self.attribute(module, kind)) {
                match name {
                    PickleValue::Text(name) if kind == "_parameters" || !passing.contains(name) => {
                        self.name(names, &joined(prefix, name), value)?;
                    }
                    _ => {}
                }
            }
        }
        for &(name, value) in self.entries(self.attribute(module, "_modules")) {
            if let (PickleValue::Text(name), PickleValue::Object(inner)) = (name, value) {
                let prefix = joined(prefix, name);
                self.spend(prefix.len() + 1)?;
                self.module(&pickle.heap.objects[inner], &prefix, names, depth + 1)?;
            }
        }
        Ok(())
    }

    fn name(&mut self, names: &mut Names, name: &str, value: PickleValue<'a>) -> Result<()> {
        match value {
            PickleValue::Tensor(tensor) => {
                self.spend(name.len())?;
                names.tensors.insert(name.into(), tensor);
            }
            PickleValue::Object(object) => {
                let (module, function) = self.pickle.heap.objects[object].class;
                if module.starts_with("torch") && (function.contains("_rebuild") || function.ends_with("Storage")) {
                    self.spend(name.len() + module.len() + function.len())?;
                    names.unread.insert(name.into(), format!("{}.{}", shown(module), shown(function)));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn keep(&mut self, names: Names) {
        if !names.tensors.is_empty() {
            self.found.push(names);
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes + 1;
        ensure!(self.bytes <= NAMES, "the tensor names take more than {NAMES} bytes; save only model.state_dict()");
        Ok(())
    }

    fn is_module(&self, object: &Object<'a>) -> bool {
        let has = |name| self.attribute(object, name) != PickleValue::None;
        has("_parameters") && has("_modules")
    }

    fn attribute(&self, object: &Object<'a>, name: &str) -> PickleValue<'a> {
        let found = self.attributes(object).iter().rev().find(|(key, _)| *key == PickleValue::Text(name));
        found.map_or(PickleValue::None, |(_, value)| *value)
    }

    /// The attributes of an object. The state of an object with slots is a pair of dicts, the first of which holds its
    /// attributes.
    fn attributes(&self, object: &Object<'a>) -> &'a [Item<'a>] {
        match object.state {
            Some(PickleValue::List(pair)) => match self.pickle.heap.lists[pair][..] {
                [attributes, _] => self.entries(attributes),
                _ => &[],
            },
            Some(state) => self.entries(state),
            None => &[],
        }
    }

    fn entries(&self, value: PickleValue<'a>) -> &'a [Item<'a>] {
        match value {
            PickleValue::Dict(dict) => &self.pickle.heap.dicts[dict],
            PickleValue::Object(object) => &self.pickle.heap.objects[object].items,
            _ => &[],
        }
    }
}

/// The strings in a pickled set. In older pickles, a set is built by calling its constructor with a list.
fn strings<'a>(pickle: &'a Pickle, set: PickleValue) -> HashSet<&'a str> {
    let list = match set {
        PickleValue::List(list) => Some(list),
        PickleValue::Object(object) => {
            match pickle.heap.objects[object].args.map(|args| &pickle.heap.lists[args][..]) {
                Some([PickleValue::List(list)]) => Some(*list),
                _ => None,
            }
        }
        _ => None,
    };
    let words = list.map_or(&[][..], |list| &pickle.heap.lists[list]);
    words.iter().filter_map(|word| if let PickleValue::Text(word) = word { Some(*word) } else { None }).collect()
}

fn joined(key: &str, name: &str) -> String {
    if key.is_empty() { name.into() } else { format!("{key}.{name}") }
}

/// Explains why a file has no named tensors.
fn without(pickle: &Pickle) -> String {
    match pickle.root {
        PickleValue::Dict(dict) => {
            let entries = entries(&pickle.heap.dicts[dict]);
            format!("the file contains no tensors{entries}; save model.state_dict(), or wrap it as \"state_dict\"")
        }
        PickleValue::Object(object) if !pickle.heap.objects[object].class.1.is_empty() => {
            let class = class(&pickle.heap.objects[object]);
            format!(
                "the file is a pickled {class} without tensors, and code in weight files is not run; save model.state_dict()"
            )
        }
        _ => "the tensors have no names; save model.state_dict()".into(),
    }
}

/// The part of an error message that lists the keys of a dict: `, only "epoch", "lr"`.
fn entries(items: &[Item]) -> String {
    let name =
        |(key, _): &Item| if let PickleValue::Text(key) = key { Some(format!("\"{}\"", shown(key))) } else { None };
    let names: Vec<_> = items.iter().filter_map(name).take(8).collect();
    if names.is_empty() { String::new() } else { format!(", only {}", names.join(", ")) }
}
