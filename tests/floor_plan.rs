//! The floor plan: a module uses only modules that `lib.rs` lists above it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A file may have so many lines: the longest are a table and a match.
const LINES: usize = 400;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The modules in the order of `lib.rs`.
fn plan() -> Vec<String> {
    let text = fs::read_to_string(root().join("lib.rs")).unwrap();
    let name = |line: &str| line.strip_prefix("pub mod ")?.strip_suffix(';').map(String::from);
    text.lines().filter_map(name).collect()
}

/// The room that a file belongs to: the first part of its path.
fn room(file: &Path) -> String {
    let path = file.strip_prefix(root()).unwrap();
    path.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_string()
}

/// Code without comments and without words in quotes.
fn code(text: &str) -> String {
    let line = |l: &str| l.split("//").next().unwrap_or_default().to_string();
    let mut code = text.lines().map(line).collect::<Vec<_>>().join("\n");
    while let Some((before, rest)) = code.split_once('"') {
        let Some((_, after)) = rest.split_once('"') else { break };
        code = format!("{before}''{after}");
    }
    code
}

/// Modules named behind `crate::`, also those of `crate::{a, b::c}`.
fn used(code: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = true;
        for (i, c) in group.char_indices() {
            if start && depth == 0 && c.is_alphabetic() {
                found.insert(word(&group[i..]));
                start = false;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                _ => {}
            }
        }
    }
    found
}

#[test]
fn modules_use_only_modules_above_them() {
    let plan = plan();
    assert!(plan.len() >= 10, "{plan:?}");
    for file in sources(&root()) {
        let Some(here) = plan.iter().position(|m| *m == room(&file)) else { continue };
        for module in used(&code(&fs::read_to_string(&file).unwrap())) {
            let place = plan.iter().position(|m| *m == module);
            assert!(place.is_none_or(|p| p <= here), "{} uses {module}, which stands below it", file.display());
        }
    }
}

#[test]
fn groups_of_uses_are_read_with_all_their_parts() {
    let of = |text: &str| used(&code(text)).into_iter().collect::<Vec<_>>();
    assert_eq!(of("use crate::{a, b::{c, d}, e::f};\nuse crate::g::h; // crate::i"), ["a", "b", "e", "g"]);
    assert_eq!(of("let x = \"crate::j\"; crate::k();"), ["k"]);
}

#[test]
fn the_terminal_and_the_renderer_know_no_tensors() {
    for file in sources(&root()).iter().filter(|f| ["tui", "render"].contains(&room(f).as_str())) {
        assert!(!code(&fs::read_to_string(file).unwrap()).contains("candle"), "{} names candle", file.display());
    }
}

#[test]
fn every_file_says_what_lives_in_it_and_is_short() {
    for file in sources(&root()) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} opens without a word about it", file.display());
        assert!(text.lines().count() <= LINES, "{} has {} lines", file.display(), text.lines().count());
    }
}

#[test]
fn every_script_opens_with_what_it_shows() {
    for folder in ["plugins", "models"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if entry.extension().is_some_and(|e| e == "rhai") {
                assert!(fs::read_to_string(&entry).unwrap().starts_with("//! "), "{}", entry.display());
            }
        }
    }
}
