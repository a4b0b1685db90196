//! The module order: a module uses only modules that `lib.rs` lists above it, and files do not import one another in cycles.

use crate::common::imports::Crate;
use crate::common::scan::{tokens, used};
use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    files(folder, "rs")
}

/// All files with this extension in a folder and its subfolders.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The modules, in the order of `lib.rs`.
fn plan() -> Vec<String> {
    let text = fs::read_to_string(root().join("lib.rs")).unwrap();
    let name = |line: &str| line.strip_prefix("pub mod ")?.strip_suffix(';').map(String::from);
    text.lines().filter_map(name).collect()
}

/// The path of the module in a file: `["graph", "op"]` for `graph/op/mod.rs`.
fn module(file: &Path) -> Vec<String> {
    let path = file.strip_prefix(root()).unwrap().with_extension("");
    let parts = path.iter().map(|part| part.to_string_lossy().into_owned());
    parts.filter(|part| part != "mod").collect()
}

/// The violations of a file: names of modules listed below its own, or wildcard imports that could hide them.
fn against(plan: &[String], module: &[String], text: &str) -> Vec<String> {
    let Some(here) = plan.iter().position(|m| *m == module[0]) else { return vec![] };
    let wrong = |name: &String| name == "*" || plan[here + 1..].contains(name);
    used(text, module.len()).into_iter().filter(wrong).collect()
}

#[test]
fn modules_use_only_modules_above_them() {
    let plan = plan();
    assert!(plan.len() >= 10, "{plan:?}");
    let mut seen = 0;
    for file in sources(&root()) {
        let (module, text) = (module(&file), fs::read_to_string(&file).unwrap());
        seen += used(&text, module.len()).iter().filter(|name| plan.contains(name)).count();
        let wrong = against(&plan, &module, &text);
        assert!(wrong.is_empty(), "{} uses {wrong:?}, which lib.rs lists below it", file.display());
    }
    assert!(seen > 100, "only {seen} uses were found");
}

#[test]
fn a_use_of_a_module_below_is_found_however_it_is_written() {
    let plan: Vec<_> = ["low", "here", "high"].map(String::from).to_vec();
    let wrong = |text: &str| against(&plan, &["here", "inner"].map(String::from), text);
    for text in [
        "use crate::high::x;",
        "use crate::{low, low::{a, b}, high};",
        "use crate::{\n    low::a as b,\n    high::{self, c},\n};",
        "use super::super::high;",
        "use super::{a, super::{low, high::x}};",
        "mod tests {\n    use super::super::super::high;\n}",
        "use gradscope::high::x;",
        "use ::gradscope::{low, high};",
        "fn f() -> crate::high::X { loop {} }",
        "macro_rules! m { () => { $crate::high::x() } }",
        "const U: &str = \"https://a\"; use crate::high;\nconst V: &str = \"\";",
        "const Q: char = '\"'; use crate::high; const R: char = '\"';",
        "const Q: &str = \"\\\"\"; use crate::high; const R: &str = r#\"\"\"#;",
        "fn f<'a>(x: &'a u8) { crate::high::g(x) }",
    ] {
        assert_eq!(wrong(text), ["high"], "{text}");
    }
    for text in ["use crate::*;", "use super::super::*;", "use crate as all;", "use crate::{self as all, low};"] {
        assert_eq!(wrong(text), ["*"], "{text}");
    }
}

#[test]
fn lookalikes_of_forbidden_uses_are_accepted() {
    let plan: Vec<_> = ["low", "here", "high"].map(String::from).to_vec();
    for text in [
        "use crate::low::high; use crate::here::{high, low}; use super::high; use super::*;",
        "use crate::{low as high, here::{self as other, high::x}};",
        "// use crate::high;\n/* crate::high /* crate::high */ crate::high */ use crate::low;",
        "const A: &str = \"crate::high\"; const B: &[u8] = br##\"\"# crate::high\"##; const C: u8 = b'\\'';",
        "mod tests { use super::super::high; } pub(crate) fn f(&self) { self.high() } pub(super) struct High;",
        "fn f() { other::crate_::high(); mygradscope::high(); }",
    ] {
        let wrong = against(&plan, &["here", "inner"].map(String::from), text);
        assert!(wrong.is_empty(), "{wrong:?} in {text}");
    }
}

/// Cycles of more than two files, and cycles between folders.
fn circles(files: &Crate) -> Vec<String> {
    let mut found = vec![];
    for circle in files.circles() {
        let rooms = circle.iter().filter(|module| module[0] != circle.first().unwrap()[0]).count();
        if circle.len() > 2 || rooms > 0 {
            let arrows = circle.iter().map(|from| {
                let to: Vec<_> = files.imports(from).intersection(&circle).map(|to| to.join("::")).collect();
                format!("\n  {} imports {}", from.join("::"), to.join(", "))
            });
            found.push(format!("import cycle of {} files:{}", circle.len(), arrows.collect::<String>()));
        }
    }
    found
}

#[test]
fn files_do_not_import_one_another_in_circles() {
    let text = |file: &PathBuf| fs::read_to_string(file).unwrap();
    let files = Crate::new(sources(&root()).iter().map(|file| (module(file), text(file))));
    let found = circles(&files);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn imports_in_the_app_go_one_way() {
    let text = fs::read_to_string(root().join("tui/mod.rs")).unwrap();
    let name = |line: &str| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';').map(String::from);
    let order: Vec<_> = text.lines().filter_map(name).collect();
    let rank = |module: &[String]| order.iter().position(|name| module.get(1) == Some(name));
    assert!(order.len() >= 15, "{order:?}");
    let sources = sources(&root());
    let files = Crate::new(sources.iter().map(|file| (module(file), fs::read_to_string(file).unwrap())));
    for from in sources.iter().map(|file| module(file)).filter(|module| module[0] == "tui" && module.len() > 1) {
        for to in files.imports(&from).iter().filter(|to| to[0] == "tui") {
            assert!(
                rank(to) <= rank(&from),
                "{} imports {}, which lib.rs lists below it",
                from.join("::"),
                to.join("::")
            );
        }
    }
    let circles: Vec<_> = files.circles().into_iter().filter(|circle| circle.iter().any(|f| f[0] == "tui")).collect();
    assert!(circles.is_empty(), "{circles:?}");
}

fn tree(files: &[(&str, &str)]) -> Crate {
    let path = |module: &str| module.split("::").map(String::from).collect();
    Crate::new(files.iter().map(|(module, text)| (path(module), text.to_string())))
}

#[test]
fn an_import_cycle_is_found_however_it_is_written() {
    for (a, b, c) in [
        ("use super::b::B;", "use crate::room::c::C;", "fn f() { super::a::g() }"),
        ("use super::{b::B, x::X};", "use super::c::{self, D};", "use crate::{room::a as first};"),
        ("use super::b;\nfn f() { b::g() }", "use super::C;", "type A = crate::room::A;"),
    ] {
        let root = "mod a;\nmod b;\nmod c;\npub use a::A;\npub use c::C;";
        let found = circles(&tree(&[("room", root), ("room::a", a), ("room::b", b), ("room::c", c)]));
        assert_eq!(found.len(), 1, "{a} {b} {c}");
        assert!(found[0].starts_with("import cycle of 3 files:\n  room::a imports room::b"), "{}", found[0]);
    }
    let between = tree(&[("low::a", "use crate::high::b::B;"), ("high::b", "use crate::low::a::A;")]);
    assert_eq!(circles(&between).len(), 1, "two files of different rooms");
    let root = tree(&[
        ("room", "mod a;\nuse a::A;\nstruct Own;"),
        ("room::a", "use super::b::B;"),
        ("room::b", "use super::Own;"),
    ]);
    assert_eq!(circles(&root).len(), 1, "a mod.rs that defines something is a file like any other");
}

#[test]
fn files_without_a_cycle_are_accepted() {
    let pair = [("room::a", "use super::b::B;"), ("room::b", "use super::a::A;")];
    assert!(circles(&tree(&pair)).is_empty(), "two files of one room");
    let declared = [
        ("room", "mod a;\nmod b;\nmod c;\npub use a::A;\npub use b::{B, b};"),
        ("room::a", "use super::B;\n#[cfg(test)]\nmod tests { use super::super::c::C; }"),
        ("room::b", "use super::c::C;\n// use super::a::A;"),
        ("room::c", "#[cfg(test)]\npub mod tests { use crate::room::{A, B}; }\nfn f() { other::a::g() }"),
    ];
    assert!(circles(&tree(&declared)).is_empty(), "a mod.rs that only declares, tests, comments, other crates");
}

#[test]
fn the_terminal_and_the_renderer_do_not_use_tensors() {
    for file in sources(&root()).iter().filter(|f| ["tui", "render"].contains(&module(f)[0].as_str())) {
        let named = tokens(&fs::read_to_string(file).unwrap()).into_iter().find(|t| t.starts_with("candle"));
        assert_eq!(named, None, "{} names candle", file.display());
    }
}

/// The `.rs` files of a test folder that no `mod` line of its `main.rs` or `mod.rs` declares.
fn unnamed(folder: &Path, root: &str) -> Vec<PathBuf> {
    let text = fs::read_to_string(folder.join(root)).unwrap();
    let modules: Vec<_> = text
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    let named = |path: &Path| modules.iter().any(|module| path.file_stem().is_some_and(|stem| stem == *module));
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: PathBuf| match path.is_dir() {
        true if path.join("mod.rs").exists() && named(&path) => unnamed(&path, "mod.rs"),
        true => sources(&path),
        false => [path].into_iter().filter(|p| p.extension().is_some_and(|e| e == "rs") && !named(p)).collect(),
    };
    paths.filter(|path| !path.ends_with(root)).flat_map(of).collect()
}

#[test]
fn every_test_file_belongs_to_one_of_six_binaries() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let entries: Vec<_> = fs::read_dir(&tests).unwrap().map(|entry| entry.unwrap().path()).collect();
    let alone: Vec<_> = entries.iter().filter(|path| path.extension().is_some_and(|e| e == "rs")).collect();
    assert!(alone.is_empty(), "each file in tests/ is a binary that links all dependencies: {alone:?}");
    let binaries: Vec<_> = entries.iter().filter(|path| path.join("main.rs").exists()).collect();
    assert!(binaries.len() <= 6, "{binaries:?}");
    let common = unnamed(&tests.join("common"), "mod.rs");
    let forgotten: Vec<_> = binaries.iter().flat_map(|folder| unnamed(folder, "main.rs")).chain(common).collect();
    assert!(forgotten.is_empty(), "no `mod` line declares {forgotten:?}, so their tests do not run");
}

#[test]
fn every_file_starts_with_a_doc_comment() {
    for file in sources(&root()) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} does not start with a `//!` comment", file.display());
    }
}

#[test]
fn every_script_starts_with_a_summary() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["plugins", "models"].iter().flat_map(|folder| files(&root.join(folder), "rhai")) {
        assert!(fs::read_to_string(&file).unwrap().starts_with("//! "), "{}", file.display());
    }
}

/// Modules whose code determines results. Everything they depend on is passed as an argument.
const COMPUTING: [&str; 10] =
    ["tensor.rs", "backend", "math", "graph", "exec", "explain", "render", "model", "train", "script/api"];

/// Global state in them that affects no result, with a description.
const GLOBAL: [(&str, &str); 6] = [
    ("backend/cpu/filters.rs", "a cache of packed weights by their identity"),
    ("backend/cuda/conv.rs", "a cache of cuDNN's descriptors"),
    ("backend/cuda/mod.rs", "compiled kernels"),
    ("backend/device.rs", "GRADSCOPE_PORTABLE, by which the tests reach the portable kernels"),
    ("exec/fused/buffer.rs", "a pool of freed buffers"),
    ("exec/fused/packed.rs", "packed weights that several networks share, by their identity"),
];

/// The statics and thread-locals in a source text whose value can change, one line each.
fn global_state(text: &str) -> Vec<&str> {
    const CELLS: [&str; 7] = ["Atomic", "Mutex<", "RwLock<", "OnceLock<", "LazyLock<", "Cell<", "static mut "];
    let is_state = |line: &&str| {
        let declaration = line.trim_start().split_once("static ").filter(|(before, _)| {
            before.is_empty() || before.starts_with("pub") && !before.contains('(') || before.ends_with(") ")
        });
        declaration.is_some_and(|(_, rest)| CELLS.iter().any(|cell| format!("static {rest}").contains(cell)))
    };
    text.lines().filter(is_state).collect()
}

#[test]
fn nothing_global_decides_a_result() {
    let known = |file: &Path| GLOBAL.iter().any(|(name, _)| file.ends_with(name));
    let state = |file: &PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        // Tables that are derived once from constants, such as the list of operations.
        let derived = file.starts_with(root().join("graph/op"));
        global_state(&text).into_iter().any(|line| !(derived && line.contains("LazyLock<Vec<&")))
    };
    let all = COMPUTING.iter().flat_map(|name| {
        let path = root().join(name);
        if path.is_dir() { sources(&path) } else { vec![path] }
    });
    let (listed, rest): (Vec<_>, Vec<_>) = all.partition(|file| known(file));
    let wrong: Vec<_> = rest.iter().filter(|file| state(file)).collect();
    assert!(wrong.is_empty(), "global state in {wrong:?}; pass it as an argument, or list what it caches in GLOBAL");
    assert_eq!(listed.iter().filter(|file| state(file)).count(), GLOBAL.len(), "a file in GLOBAL has no state");
}

#[test]
fn global_state_is_noticed_however_it_is_declared() {
    for line in [
        "static DEVICE: RwLock<Device> = RwLock::new(Device::Cpu);",
        "    pub static EXACT: AtomicBool = AtomicBool::new(true);",
        "pub(super) static KEPT: Mutex<Vec<u8>> = Mutex::new(vec![]);",
        "    static HERE: Cell<bool> = const { Cell::new(false) };",
        "static mut COUNT: usize = 0;",
    ] {
        assert_eq!(global_state(line), [line]);
    }
    for line in
        ["pub(super) static SPEC: OpSpec = OpSpec {", "fn f(x: &'static Mutex<u8>) {}", "// static A: Mutex<u8>"]
    {
        assert!(global_state(line).is_empty(), "{line}");
    }
}
