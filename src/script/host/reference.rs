//! The reference of the functions available to scripts. For each noun of the API, it has rows of documentation, the signatures
//! registered in the engine, and an example.

use super::Host;
use crate::data::create_folder;
use crate::script::api::nouns::{NOUNS, Noun};
use crate::script::api::types;
use anyhow::Result;
use rhai::Engine;
use std::path::Path;

/// The reference of all functions available to scripts.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// One section per noun of the API, in the order of the documentation.
    pub sections: Vec<Section>,
}

/// The section of the reference for one noun of the API.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// The noun, such as `model`.
    pub noun: String,
    /// Rows of documentation: an object or task, and its functions.
    pub rows: Vec<(String, String)>,
    /// Sorted signatures, such as `narrow(Tensor, int, int, int) -> Tensor`.
    pub signatures: Vec<String>,
    /// An example script that runs without changes.
    pub example: String,
}

/// Names of functions registered outside the API's nouns, and the noun under which each is listed.
const ELSEWHERE: [(&str, &str); 3] = [("answer", "answer"), ("method", "params"), ("model", "program")];
/// The noun under which built-in functions of the language are listed.
const LANGUAGE: &str = "language";

/// Types in the engine's signatures and their names in scripts.
const TYPES: [(&str, &str); 7] = [
    ("BTreeMap<SmartString<LazyCompact>,Dynamic>", "map"),
    ("ImmutableString", "string"),
    ("Vec<Dynamic>", "array"),
    ("Dynamic", "any"),
    ("Array", "array"),
    ("i64", "int"),
    ("f64", "float"),
];

/// Result types shown with their Rust names in the engine's signatures, and their names in scripts.
const RESULTS: [(&str, &str); 9] = [
    ("Cx", "Context"),
    ("Named", "Parameters"),
    ("Declared", "Default"),
    ("Param", "Parameter"),
    ("Pictures", "Dataset"),
    ("Learner", "Trainer"),
    ("LabeledTrace", "Trace"),
    ("Lrp", "Rule"),
    ("Handle", "Node"),
];

/// The documentation file among the embedded methods, and the heading of its table of functions.
const FILE: &str = "README.md";
const HEADING: &str = "## What scripts can call";

/// Builds the whole reference.
pub fn reference(host: &Host) -> Reference {
    let text = host.plugins().embedded_file(FILE).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let section = text.split_once(HEADING).map_or("", |(_, rest)| rest.split("\n## ").next().unwrap_or_default());
    let rows: Vec<_> = section.lines().filter_map(row).skip(1).collect();
    let mut left = shown(&host.signatures());
    let mut sections: Vec<_> =
        NOUNS.iter().map(|noun| Section::new(noun, &rows, taken(noun, host, &mut left))).collect();
    if let Some(language) = sections.iter_mut().find(|s| s.noun == LANGUAGE) {
        language.signatures = left;
    }
    Reference { sections }
}

/// Removes the signatures registered by `noun` from `left` and returns them.
fn taken(noun: &Noun, host: &Host, left: &mut Vec<String>) -> Vec<String> {
    let mut engine = Engine::new_raw();
    types::register(&mut engine);
    noun.register.iter().for_each(|register| register(&mut engine, host.guard()));
    let own = shown(&engine.gen_fn_signatures(false));
    let elsewhere = |s: &str| ELSEWHERE.iter().any(|(name, of)| *of == noun.name && name_of(s) == *name);
    left.extract_if(.., |s| own.binary_search(s).is_ok() || elsewhere(s)).collect()
}

/// Converts signatures to script syntax, sorted, without operators and setters.
fn shown(signatures: &[String]) -> Vec<String> {
    let named = signatures.iter().filter(|s| s.starts_with(char::is_alphabetic) && !s.starts_with("set$"));
    let mut all: Vec<_> = named.map(|s| short(s)).collect();
    all.sort();
    all.dedup();
    all
}

/// The name of a function, given its signature: `narrow` for `narrow(Tensor, …)`.
fn name_of(signature: &str) -> &str {
    signature.split(['(', ' ']).next().unwrap_or_default()
}

impl Section {
    fn new(noun: &Noun, rows: &[(String, String, String)], signatures: Vec<String>) -> Self {
        let own = rows.iter().filter(|(of, ..)| of == noun.name);
        let rows = own.map(|(_, what, functions)| (what.clone(), functions.clone())).collect();
        Self { noun: noun.name.into(), rows, signatures, example: noun.example.into() }
    }
}

impl Reference {
    /// The reference as pairs: all rows of documentation, followed by all signatures sorted by function name.
    pub fn lines(self) -> Vec<(String, String)> {
        let mut signatures: Vec<_> = self.sections.iter().flat_map(|s| s.signatures.clone()).collect();
        signatures.sort();
        let signatures = signatures.into_iter().map(|s| (name_of(&s).to_string(), s));
        self.sections.into_iter().flat_map(|s| s.rows).chain(signatures).collect()
    }

    /// The names of the nouns in the reference.
    pub fn nouns(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().map(|s| s.noun.as_str())
    }

    /// Filters the reference by the noun `word`. If there is no such noun, filters by rows and signatures that contain `word`,
    /// ignoring case.
    pub fn with(mut self, word: &str) -> Self {
        let word = word.to_lowercase();
        if word.is_empty() || self.nouns().any(|noun| noun == word) {
            self.sections.retain(|s| word.is_empty() || s.noun == word);
            return self;
        }
        let has = |text: &str| text.to_lowercase().contains(&word);
        for section in &mut self.sections {
            section.rows.retain(|(of, what)| has(of) || has(what));
            section.signatures.retain(|signature| has(signature));
            section.example.clear();
        }
        self.sections.retain(|s| !s.rows.is_empty() || !s.signatures.is_empty());
        self
    }
}

impl Host {
    /// Writes definition files for rhai's language server to `folder`, one per module, and returns the number of files.
    ///
    /// Errors if the folder cannot be written.
    pub fn write_definitions(&self, folder: &Path) -> Result<usize> {
        create_folder(folder)?;
        let files = self.definitions();
        for (name, text) in &files {
            let path = folder.join(name);
            crate::data::write_whole(&path, text.as_bytes())?;
        }
        Ok(files.len())
    }
}

/// Parses a row of the table in the documentation file: the noun, the object or task, and its functions, without Markdown
/// formatting. A `|` within a cell is escaped as `\|`.
fn row(line: &str) -> Option<(String, String, String)> {
    let line = line.trim().strip_prefix('|')?.strip_suffix('|')?.replace("\\|", "\u{1}");
    let (noun, rest) = line.split_once('|')?;
    let (of, what) = rest.split_once('|')?;
    let plain = |text: &str| text.trim().replace('`', "").replace('\u{1}', "|");
    (!noun.contains("---")).then(|| (plain(noun), plain(of), plain(what)))
}

/// Converts a signature to script syntax: without type paths, and with `T` instead of `Result<T, …>`.
fn short(signature: &str) -> String {
    let mut words = String::new();
    for word in signature.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        words.push_str(word.rsplit("::").next().unwrap_or(word));
    }
    let mut words = words.replace("_: ", "").replace("&mut ", "");
    for (name, ours) in TYPES {
        words = words.replace(name, ours);
    }
    let words = property(&words).unwrap_or(words);
    let words = words.replace(", Box<EvalAltResult>>", ",Box<EvalAltResult>>");
    let words = match words.split_once("Result<").zip(words.strip_suffix(",Box<EvalAltResult>>")) {
        Some(((before, _), whole)) => format!("{before}{}", &whole[before.len() + "Result<".len()..]),
        None => words,
    };
    let renamed = words.rsplit_once(" -> ").and_then(|(call, result)| {
        RESULTS.iter().find(|(rust, _)| *rust == result).map(|(_, ours)| format!("{call} -> {ours}"))
    });
    renamed.unwrap_or(words)
}

/// Converts the signature of a getter, `get$shape(Tensor) -> array`, to `Tensor.shape -> array`; `None` for other signatures.
fn property(words: &str) -> Option<String> {
    let (name, rest) = words.strip_prefix("get$")?.split_once('(')?;
    let (of, rest) = rest.split_once(')')?;
    let of = of.split(',').next().unwrap_or(of);
    Some(format!("{of}.{name}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_rows_lose_their_markup() {
        let read = row("| `site` | a rule `\\|site, r\\| …` | `site.x` and more |").unwrap();
        assert_eq!(read, ("site".into(), "a rule |site, r| …".into(), "site.x and more".into()));
        assert_eq!(row("|---|---|---|"), None);
    }

    #[test]
    fn types_lose_their_paths() {
        assert_eq!(short("f(_: &mut candle_core::Tensor, i64) -> rhai::Array"), "f(Tensor, int) -> array");
        assert_eq!(short("get$shape(_: &mut a::Tensor) -> rhai::Array"), "Tensor.shape -> array");
        assert_eq!(short("f(_: a::Tensor) -> Result<a::Tensor,Box<rhai::EvalAltResult>>"), "f(Tensor) -> Tensor");
        assert_eq!(short("f(x: i64) -> Result<i64, Box<EvalAltResult>>"), "f(x: int) -> int");
        assert_eq!(short("f(_: Model) -> Result<a::LabeledTrace,Box<rhai::EvalAltResult>>"), "f(Model) -> Trace");
    }
}
