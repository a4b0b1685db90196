//! Which files of the crate a file imports, and the import cycles among them.

use super::scan::tokens;
use std::collections::{BTreeMap, BTreeSet};

/// A path from the root of the crate: `["graph", "op"]`.
pub type Path = Vec<String>;

/// The files of the crate, by module: `["graph", "op"]` for `graph/op/mod.rs`.
#[derive(Default)]
pub struct Crate(BTreeMap<Path, File>);

#[derive(Default)]
struct File {
    /// The paths it refers to.
    named: Vec<Path>,
    /// Its re-exports: name and path.
    exported: Vec<(String, Path)>,
}

impl Crate {
    /// Parses the files of a crate.
    pub fn new(files: impl IntoIterator<Item = (Path, String)>) -> Self {
        let files: Vec<_> = files.into_iter().map(|(module, text)| (module, without_tests(tokens(&text)))).collect();
        let modules: BTreeSet<_> = files.iter().map(|(module, _)| module.clone()).collect();
        Self(files.into_iter().map(|(module, tokens)| (module.clone(), read(&tokens, &module, &modules))).collect())
    }

    /// The files that a file imports. A re-exported name counts for the file that defines it.
    pub fn imports(&self, module: &Path) -> BTreeSet<Path> {
        let named = self.0.get(module).map_or(&[][..], |file| &file.named);
        named.iter().filter_map(|path| self.defined(path, 0)).filter(|file| file != module).collect()
    }

    /// The sets of files that import one another, directly or indirectly; the largest first.
    pub fn circles(&self) -> Vec<BTreeSet<Path>> {
        let imports: BTreeMap<_, _> = self.0.keys().map(|module| (module, self.imports(module))).collect();
        let reached = |from: &Path| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(file) = open.pop() {
                open.extend(imports[&file].iter().filter(|next| seen.insert((*next).clone())).cloned());
            }
            seen
        };
        let all: BTreeMap<_, _> = self.0.keys().map(|module| (module, reached(module))).collect();
        let with = |file: &Path| all[file].iter().filter(|other| all[*other].contains(file)).cloned().collect();
        let mut circles: Vec<BTreeSet<Path>> = self.0.keys().map(with).filter(|c: &BTreeSet<_>| c.len() > 1).collect();
        circles.sort_by_key(|circle| (usize::MAX - circle.len(), circle.clone()));
        circles.dedup();
        circles
    }

    /// The file that defines the item at a path: the file of its longest module prefix, or of the target of a re-export.
    fn defined(&self, path: &[String], depth: usize) -> Option<Path> {
        let length = (1..=path.len()).rev().find(|&length| self.0.contains_key(&path[..length]))?;
        let (module, rest) = path.split_at(length);
        let name = rest.first().filter(|_| depth < 8);
        let exported = self.0[module].exported.iter().find(|(exported, _)| Some(exported) == name);
        let behind = exported.and_then(|(_, path)| self.defined(&[path, &rest[1..]].concat(), depth + 1));
        Some(behind.unwrap_or_else(|| module.to_vec()))
    }
}

/// The tokens outside of test-only modules.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    let (mut kept, mut i) = (vec![], 0);
    while i < tokens.len() {
        match test_module(&tokens, i) {
            Some(end) => i = end,
            None => {
                kept.push(tokens[i].clone());
                i += 1;
            }
        }
    }
    kept
}

/// The end of a `#[cfg(…test…)] … mod name { … }` that starts here.
fn test_module(tokens: &[String], start: usize) -> Option<usize> {
    let is = |i: usize, word: &str| tokens.get(i).is_some_and(|t| t == word);
    let close = |mut i: usize, open: &str, close: &str| {
        let mut depth = 0;
        loop {
            depth += usize::from(is(i, open));
            depth -= usize::from(is(i, close));
            i += 1;
            if depth == 0 || i >= tokens.len() {
                return i;
            }
        }
    };
    let attribute = |i: usize| (is(i, "#") && is(i + 1, "[")).then(|| close(i + 1, "[", "]"));
    let mut i = attribute(start).filter(|_| is(start + 2, "cfg"))?;
    if !tokens[start..i].iter().any(|t| t == "test") {
        return None;
    }
    while let Some(end) = attribute(i) {
        i = end;
    }
    if is(i, "pub") {
        i = if is(i + 1, "(") { close(i + 1, "(", ")") } else { i + 1 };
    }
    (is(i, "mod") && is(i + 2, "{")).then(|| close(i + 2, "{", "}"))
}

fn read(tokens: &[String], module: &Path, modules: &BTreeSet<Path>) -> File {
    let at = |i: usize| tokens.get(i).map_or("", String::as_str);
    let below = |name: &str| [module.as_slice(), &[name.to_string()]].concat();
    let (mut file, mut local, mut i) = (File::default(), BTreeMap::new(), 0);
    // Imports first: later code may use the names that they introduce.
    while i < tokens.len() {
        if at(i) != "use" {
            i += 1;
            continue;
        }
        let exports = i > 0 && (at(i - 1) == "pub" || at(i - 1) == ")");
        let mut leaves = vec![];
        i = tree(tokens, i + 1, vec![], &mut leaves);
        for (path, alias) in leaves {
            let path = absolute(&path, module, modules);
            match exports {
                true => file.exported.push((alias, path)),
                false => {
                    local.insert(alias, path.clone());
                    file.named.push(path);
                }
            }
        }
    }
    for i in 0..tokens.len() {
        let starts = at(i + 1) == "::" && at(i.wrapping_sub(1)) != "::" && is_word(at(i));
        if !starts || inside_use(tokens, i) {
            continue;
        }
        let mut path = vec![at(i).to_string()];
        let mut end = i + 1;
        while at(end) == "::" && is_word(at(end + 1)) {
            path.push(at(end + 1).to_string());
            end += 2;
        }
        match path[0].as_str() {
            "crate" | "super" | "self" | "gradscope" => file.named.push(absolute(&path, module, modules)),
            name => {
                let known = local.get(name).cloned().or(Some(below(name)).filter(|path| modules.contains(path)));
                let known = known.filter(|known| modules.contains(known));
                file.named.extend(known.map(|known| [&known, &path[1..]].concat()));
            }
        }
    }
    file
}

/// Parses the leaves of a `use` starting at `i`, each with its local name; returns its end.
fn tree(tokens: &[String], mut i: usize, mut path: Path, leaves: &mut Vec<(Path, String)>) -> usize {
    let at = |i: usize| tokens.get(i).map_or("", String::as_str);
    if at(i) == "::" {
        i += 1;
    }
    loop {
        if at(i) == "{" {
            i += 1;
            while !["}", ""].contains(&at(i)) {
                i = if at(i) == "," { i + 1 } else { tree(tokens, i, path.clone(), leaves) };
            }
            return i + 1;
        }
        if at(i) != "self" || path.is_empty() {
            path.push(at(i).to_string());
        }
        i += 1;
        match at(i) {
            "::" => i += 1,
            "as" => {
                leaves.push((path, at(i + 1).to_string()));
                return i + 2;
            }
            _ => {
                let name = path.last().cloned().unwrap_or_default();
                leaves.push((path, name));
                return i;
            }
        }
    }
}

/// An absolute path; one that starts with a child of the module is relative to it.
fn absolute(path: &[String], module: &Path, modules: &BTreeSet<Path>) -> Path {
    let mut base = module.clone();
    for (i, segment) in path.iter().enumerate() {
        match segment.as_str() {
            "crate" | "gradscope" => base.clear(),
            "self" => {}
            "super" => drop(base.pop()),
            _ if i == 0 && !modules.contains(&[module.as_slice(), &path[..1]].concat()) => return vec![],
            _ => return [base, path[i..].to_vec()].concat(),
        }
    }
    base
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn inside_use(tokens: &[String], i: usize) -> bool {
    let start = tokens[..i].iter().rposition(|t| [";", "use", "fn", "="].contains(&t.as_str()));
    start.is_some_and(|start| tokens[start] == "use")
}
