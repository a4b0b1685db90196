//! What scripts can call: the table of the documentation, and the signatures registered in the engine.

use super::Host;
use crate::data::create_folder;
use anyhow::Result;
use std::path::Path;

/// Everything that scripts can call.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Rows of the documentation: an object or a task, and its functions.
    pub rows: Vec<(String, String)>,
    /// `narrow(x: Tensor, …) -> Tensor`, sorted.
    pub signatures: Vec<String>,
}

/// Types as scripts name them.
const TYPES: [(&str, &str); 6] = [
    ("BTreeMap<SmartString<LazyCompact>,Dynamic>", "map"),
    ("ImmutableString", "string"),
    ("Dynamic", "any"),
    ("Array", "array"),
    ("i64", "int"),
    ("f64", "float"),
];

/// The documentation of the methods, and the heading of its table.
const FILE: &str = "README.md";
const HEADING: &str = "## What scripts can call";

/// The whole reference.
pub fn reference(host: &Host) -> Reference {
    let text = host.plugins().embedded_file(FILE).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let section = text.split_once(HEADING).map_or("", |(_, rest)| rest.split("\n## ").next().unwrap_or_default());
    let rows = section.lines().filter_map(row).skip(1).collect();
    let mut signatures: Vec<_> = host
        .signatures()
        .iter()
        .filter(|s| s.starts_with(char::is_alphabetic) && !s.starts_with("set$"))
        .map(|s| short(s))
        .collect();
    signatures.sort();
    signatures.dedup();
    Reference { rows, signatures }
}

impl Reference {
    /// All rows, then all signatures by their names.
    pub fn lines(self) -> Vec<(String, String)> {
        let signatures = self.signatures.into_iter().map(|s| {
            let name = s.split(['(', ' ']).next().unwrap_or_default().to_string();
            (name, s)
        });
        self.rows.into_iter().chain(signatures).collect()
    }

    /// The rows and signatures that contain this word, ignoring case; all for an empty word.
    pub fn with(mut self, word: &str) -> Self {
        let word = word.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&word);
        self.rows.retain(|(of, what)| has(of) || has(what));
        self.signatures.retain(|signature| has(signature));
        self
    }
}

impl Host {
    /// Writes definitions for rhai's language server, one file per module, and returns their number.
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

/// Parses a row of the table: its two cells without backquotes. `\|` in a cell stands for `|`.
fn row(line: &str) -> Option<(String, String)> {
    let line = line.trim().strip_prefix('|')?.strip_suffix('|')?.replace("\\|", "\u{1}");
    let (of, what) = line.split_once('|')?;
    let plain = |text: &str| text.trim().replace('`', "").replace('\u{1}', "|");
    (!of.contains("---")).then(|| (plain(of), plain(what)))
}

/// A signature as scripts see it: without the paths of types, and with `T` in place of `Result<T, …>`.
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
    match words.split_once("Result<").zip(words.strip_suffix(",Box<EvalAltResult>>")) {
        Some(((before, _), whole)) => format!("{before}{}", &whole[before.len() + "Result<".len()..]),
        None => words,
    }
}

/// `get$shape(Tensor) -> array` as `Tensor.shape -> array`.
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
    fn rows_of_the_table_lose_their_marks() {
        let read = row("| a rule `\\|site, r\\| …` | `site.x` and more |").unwrap();
        assert_eq!(read, ("a rule |site, r| …".into(), "site.x and more".into()));
        assert_eq!(row("|---|---|"), None);
    }

    #[test]
    fn types_lose_their_paths() {
        assert_eq!(short("f(_: &mut candle_core::Tensor, i64) -> rhai::Array"), "f(Tensor, int) -> array");
        assert_eq!(short("get$shape(_: &mut a::Tensor) -> rhai::Array"), "Tensor.shape -> array");
        assert_eq!(short("f(_: a::Tensor) -> Result<a::Tensor,Box<rhai::EvalAltResult>>"), "f(Tensor) -> Tensor");
    }
}
