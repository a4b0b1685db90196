//! Fuzz test that calls every script function with hostile arguments; no call may panic or hang.
//!
//! The test covers all functions registered by the host, including the language's built-in functions, so new functions are tested
//! automatically. Each call runs in its own script, which is printed on failure. For a longer run:
//! `GRADSCOPE_FUZZ_SECONDS=600 cargo test --lib attack`.

use crate::data::source;
use crate::script::architecture::Architectures;
use crate::script::folders::{Folders, ScriptSource};
use crate::script::host::Host;
use crate::script::sandbox::guard::Guard;
use crate::script::session::Session;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Default duration of the test in seconds.
const SECONDS: u64 = 15;
/// Time after which a call is cancelled.
const PATIENCE: Duration = Duration::from_millis(200);
/// Maximum time that a cancelled call may take to stop.
const LATE: Duration = Duration::from_secs(15);

const WHOLE: &[&str] =
    &["0", "1", "-1", "2", "3", "7", "40", "65536", "(1 << 40)", "9223372036854775807", "(-9223372036854775807 - 1)"];
const REAL: &[&str] = &[
    "0.0",
    "-0.0",
    "1.0",
    "-1.5",
    "0.5",
    "(0.0 / 0.0)",
    "(1.0 / 0.0)",
    "(-1.0 / 0.0)",
    "1e-300",
    "1e300",
    "3.5e38",
    "1e-45",
    "255.0",
];
const TRUTH: &[&str] = &["true", "false"];
const LETTERS: &[&str] = &["'a'", "'é'", "'\\0'", "'\\u{1f600}'"];
const TEXTS: &[&str] = &[
    "\"\"",
    "\"conv1\"",
    "\"relu|conv\"",
    "\"l2\"",
    "\"linf\"",
    "\"l0\"",
    "\"png\"",
    "\"jpeg\"",
    "\"mean\"",
    "\"max\"",
    "\"flat\"",
    "\"bilinear\"",
    "\"antialias\"",
    "\"cosine\"",
    "\"gauss_legendre\"",
    "\"slic\"",
    "\"epsilon_plus\"",
    "\"saliency\"",
    "\"digits\"",
    "\"../../etc/passwd\"",
    "\"[1, {\\\"a\\\": 2}]\"",
    "\"é\\n\\x1b[31m\\0\"",
    "\"-1e999\"",
    "{ let t = \"x\"; t.pad(1000000, 'x'); t }",
];
const TENSORS: &[&str] = &[
    "cx.input",
    "cx.input * (0.0 / 0.0)",
    "zeros([])",
    "zeros([0])",
    "zeros([0, 3, 2, 2])",
    "zeros([2, 0])",
    "ones([3])",
    "full([4], 1.0 / 0.0)",
    "full([2, 2], 3e38)",
    "full([1, 1, 3, 3], -1e-45)",
    "arange(6).reshape([2, 3])",
    "arange(10).reshape([5, 2])",
    "arange(48).reshape([1, 3, 4, 4])",
    "zeros([1, 1, 1, 1, 1, 1, 1])",
    "ones([1, 1, 200, 200])",
    "ones([300, 300])",
    "ones([50000])",
    "one_hot(1, 3)",
    "new_tensor(cx.input, [0.5, 1.0])",
];
const ARRAYS: &[&str] = &[
    "[]",
    "[0]",
    "[1]",
    "[-1]",
    "[2, 2]",
    "[1, 1, 28, 28]",
    "[0, 0, 0, 0]",
    "[9223372036854775807]",
    "[1 << 32, 1 << 32]",
    "[0.0 / 0.0, 1.0]",
    "[1, 2.0, \"a\"]",
    "[\"conv1\"]",
    "[[1, 2], [3, 4]]",
    "[[1], [2, 3]]",
    "[[\"relu\", |s, r| r]]",
    "[(), #{}, []]",
    "[cx.input, cx.input]",
    "[|x| x]",
    "{ let a = []; a.pad(20000, 1); a }",
    "{ let a = 1; for i in 0..45 { a = [a]; } a }",
];
const CLOSURES: &[&str] = &[
    "|| 1",
    "|x| x",
    "|a, b| a",
    "|a, b| true",
    "|x| throw \"no\"",
    "|a, b| throw \"no\"",
    "|x| x.foo(x)",
    "|x| [x, x]",
    "|x| ()",
    "|a, b| loop { }",
    "Fn(\"nothing\")",
    "|a| (a[\"conv1\"] ** 2).mean()",
    "|a| a[\"nothing\"].sum()",
    "|a| 0.0",
];
/// Option names that script functions accept.
pub(super) const OPTIONS: &[&str] = &[
    "k",
    "metric",
    "other",
    "perplexity",
    "start",
    "exaggeration",
    "momentum",
    "rate",
    "stride",
    "padding",
    "dilation",
    "groups",
    "weights",
    "ridge",
    "method",
    "count",
    "compactness",
    "mode",
    "padding_mode",
    "scale",
    "each",
    "columns",
    "marked",
    "captions",
    "over",
    "x",
    "axis",
    "names",
    "pictures",
    "layer",
    "pool",
    "epochs",
    "batch",
    "to",
    "rules",
    "reduction",
    "input",
    "target",
    "params",
    "seed",
    "steps",
    "together",
    "nothing",
    "show",
    "of",
    "frames",
    "kernel",
    "bias",
    "data",
    "model",
];
const RANGES: &[&str] = &["0..3", "3..0", "-5..9223372036854775807", "0..0"];
const CLOSED: &[&str] = &["0..=3", "3..=0", "-5..=9223372036854775807"];
const BLOBS: &[&str] = &["blob()", "blob(3, 255)", "blob(20000)"];

/// Expressions that create values of gradscope's own types, keyed by the type's name in signatures.
const OURS: &[(&str, &[&str])] = &[
    ("Context", &["cx"]),
    ("Model", &["cx.model"]),
    ("Trace", &["cx.model.forward(cx.input)", "cx.model.forward(cx.input * (0.0 / 0.0))"]),
    ("Figure", &["text(\"a\", \"b\")", "heatmap(cx.input, \"t\")", "line(#{ a: [1, 0.0 / 0.0] }, \"t\")"]),
    ("Tsne", &["tsne(arange(10).reshape([5, 2]), #{ start: zeros([5, 2]) })"]),
    ("Relevance", &["backward(cx.model.forward(cx.input), logit(0))"]),
    ("Dataset", &["cx.data"]),
    ("Seed", &["logit(0)", "logit(99)", "probability(1)"]),
    ("Parameters", &["cx.params"]),
    ("Default", &["pixels(8.0)", "class()", "layer(\"conv\")"]),
    ("Parameter", &["param(\"x\", 1, 1..=3, \"d\")"]),
    ("Rule", &["epsilon(1e-6)", "gamma(0.25)", "zplus()"]),
    ("Trainer", &["cx.trainer(#{ epochs: 1, batch: 2 })"]),
    ("timestamp", &["timestamp()"]),
    ("Instant", &["timestamp()"]),
];
/// Types that exist only inside closures or builders, each with an expression of the type and the script that surrounds the call.
const INSIDE: &[(&str, &str, &str)] = &[
    ("Activations", "a", "objective(cx.model.forward(cx.input), |a| { CALL; 0.0 })"),
    ("Variable", "a[\"conv1\"]", "objective(cx.model.forward(cx.input), |a| { CALL; 0.0 })"),
    ("Node", "x", "build(x)"),
    ("Site", "s", "backward(cx.model.forward(cx.input), logit(0), #{ rules: [[\"conv\", |s, r| { CALL; r }]] })"),
];

/// A function that scripts can call: its name and parameter types.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Native {
    name: String,
    takes: Vec<String>,
}

impl Native {
    /// Parses a signature such as `name(x: &mut Tensor, _: i64) -> …`.
    fn of(signature: &str) -> Option<Self> {
        let signature = signature.split(" -> ").next()?;
        let (name, takes) = signature.split_once('(')?;
        let name = name.rsplit("::").next()?.trim().to_string();
        let takes = takes.trim_end().strip_suffix(')')?;
        let (mut all, mut depth, mut word) = (vec![], 0, String::new());
        for c in takes.chars().chain([',']) {
            match c {
                ',' if depth == 0 => all.extend(Some(std::mem::take(&mut word)).filter(|w| !w.trim().is_empty())),
                c => {
                    depth += i32::from("<(".contains(c)) - i32::from(">)".contains(c));
                    word.push(c);
                }
            }
        }
        Some(Self { name, takes: all.iter().map(|t| kind(t)).collect() })
    }

    /// The source code of a call with the argument expressions `args`, written as a function or as a method call.
    fn call(&self, args: &[String], as_method: bool) -> String {
        let property = |prefix: &str| self.name.strip_prefix(prefix);
        match (args, property("get$"), property("set$")) {
            ([a], Some(name), _) => return format!("({a}).{name}"),
            ([a, b], _, Some(name)) => return format!("{{ let v = {a}; v.{name} = {b}; }}"),
            _ => {}
        }
        if self.name.starts_with("index$get") {
            return format!("{{ let v = {}; v[{}] }}", args[0], args[1..].join(", "));
        }
        if self.name.starts_with("index$set") {
            return format!("{{ let v = {}; v[{}] = {}; }}", args[0], args[1], args[args.len() - 1]);
        }
        if !self.name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return match args {
                [a] => format!("{}({a})", self.name),
                [a, b] if self.name.ends_with('=') && !["==", "!=", "<=", ">=", "..="].contains(&&*self.name) => {
                    format!("{{ let v = {a}; v {} {b}; v }}", self.name)
                }
                args => args.iter().map(|a| format!("({a})")).collect::<Vec<_>>().join(&format!(" {} ", self.name)),
            };
        }
        match as_method && !args.is_empty() {
            true => format!("{{ let v = {}; v.{}({}) }}", args[0], self.name, args[1..].join(", ")),
            false => format!("{}({})", self.name, args.join(", ")),
        }
    }
}

/// The bare type of a parameter: `Array` for `x: &mut rhai::Array`.
fn kind(written: &str) -> String {
    let word = written.rsplit(": ").next().unwrap_or(written).replace("&mut ", "").replace('&', "");
    let word = word.trim();
    match word {
        w if w.contains("BTreeMap") || w == "map" => "Map".into(),
        w if w.contains("RangeInclusive") || w == "range=" => "RangeInclusive".into(),
        w if w.contains("Range") || w == "range" => "Range".into(),
        w if w.contains("Vec<u8>") || w == "blob" => "Blob".into(),
        w if w.contains("Vec<") || w == "array" => "Array".into(),
        w => w.rsplit("::").next().unwrap_or(w).trim().to_string(),
    }
}

/// Script expressions of type `kind`; `None` if the type is unknown.
fn values(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "i64" | "INT" | "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "u64" | "i128" | "u128" => WHOLE,
        "f64" | "FLOAT" | "f32" => REAL,
        "bool" => TRUTH,
        "char" => LETTERS,
        "ImmutableString" | "string" | "str" | "String" => TEXTS,
        "Tensor" => TENSORS,
        "Array" => ARRAYS,
        "Blob" => BLOBS,
        "Fn" | "FnPtr" => CLOSURES,
        "Range" | "ExclusiveRange" => RANGES,
        "RangeInclusive" | "InclusiveRange" => CLOSED,
        "()" => &["()"],
        kind => return OURS.iter().find(|(name, _)| *name == kind).map(|(_, values)| *values),
    })
}

const KINDS: [&str; 12] =
    ["i64", "f64", "bool", "char", "string", "Tensor", "Array", "Fn", "Range", "Trace", "Blob", "()"];

fn value(random: &mut ChaCha8Rng, kind: &str) -> String {
    if kind == "Map" {
        let count = random.random_range(0..3);
        let entry = |random: &mut ChaCha8Rng| {
            let kind = KINDS.choose(random).expect("one");
            format!("{}: {}", OPTIONS.choose(random).expect("one"), value(random, kind))
        };
        let entries: BTreeSet<_> = (0..count).map(|_| entry(random)).collect();
        let mut names = BTreeSet::new();
        let first = |e: &&String| names.insert(e.split(':').next().unwrap_or_default().to_string());
        return format!("#{{ {} }}", entries.iter().filter(first).cloned().collect::<Vec<_>>().join(", "));
    }
    // Occasionally, a value of the wrong type is passed, which the function must reject.
    let other = random.random_range(0..12) == 0;
    match values(kind).filter(|_| !other) {
        Some(values) => (*values.choose(random).expect("one")).to_string(),
        None => {
            let kind = KINDS.choose(random).expect("one");
            (*values(kind).and_then(|v| v.choose(random)).expect("one")).to_string()
        }
    }
}

/// A script that calls `native` once with random arguments.
fn script(random: &mut ChaCha8Rng, native: &Native) -> String {
    let inside = INSIDE.iter().find(|(kind, ..)| native.takes.iter().any(|t| t == kind));
    let arg = |random: &mut ChaCha8Rng, kind: &String| match INSIDE.iter().find(|(name, ..)| name == kind) {
        Some((_, name, _)) => (*name).to_string(),
        None => value(random, kind),
    };
    let args: Vec<_> = native.takes.iter().map(|kind| arg(random, kind)).collect();
    let call = native.call(&args, random.random());
    if inside.is_some_and(|(kind, ..)| *kind == "Node") {
        return format!(
            "const MODEL = #{{ input: [3, 8, 8] }};\nfn build(x) {{\nlet y = {call};\nx.flatten(\"f\").linear(\"l\", 2)\n}}\n"
        );
    }
    let body = inside.map_or_else(|| call.clone(), |(_, _, around)| around.replace("CALL", &call));
    format!("const PLUGIN = #{{ group: \"test\" }};\nfn run(cx) {{\n{body};\n[]\n}}\nfn nothing() {{ }}\n")
}

/// Cancels calls that take longer than [`PATIENCE`].
fn watch(guard: Arc<Guard>, begun: Arc<Mutex<Instant>>, over: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
            if begun.lock().unwrap().elapsed() > PATIENCE {
                guard.cancel();
            }
        }
    })
}

#[test]
fn no_function_panics_or_hangs_on_hostile_arguments() {
    let host = Host::new(Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only());
    let architectures = Architectures::new(host.models().clone(), host.guard());
    let model = architectures.open("digits", None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("probe.rhai");
    let (name, picture) = source::picture(&model.card.picture).unwrap();
    let input = model.card.preprocess().apply(&picture, false).unwrap();
    let mut session = Session::new(&host, model, &name, input).unwrap();
    let natives: BTreeSet<_> = host.signatures().iter().filter_map(|s| Native::of(s)).collect();
    assert!(natives.len() > 700, "{}", natives.len());
    let known = |kind: &str| {
        ["Map", "Dynamic", "_"].contains(&kind) || values(kind).is_some() || INSIDE.iter().any(|i| i.0 == kind)
    };
    let strange: BTreeSet<_> = natives.iter().flat_map(|n| &n.takes).filter(|kind| !known(kind)).collect();
    assert!(strange.is_empty(), "no example values for the types {strange:?}");
    let seconds = std::env::var("GRADSCOPE_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(SECONDS);
    let (end, begun, over) =
        (Instant::now() + Duration::from_secs(seconds), Arc::new(Mutex::new(Instant::now())), Arc::default());
    let watcher = watch(host.guard().clone(), begun.clone(), Arc::clone(&over));
    let (mut wrong, mut calls, mut accepted) = (vec![], 0, BTreeSet::new());
    let mut random = ChaCha8Rng::seed_from_u64(if seconds == SECONDS { 0 } else { rand::rng().random() });
    let mut natives: Vec<_> = natives.iter().collect();
    'all: loop {
        rand::seq::SliceRandom::shuffle(&mut natives[..], &mut random);
        for native in &natives {
            if Instant::now() > end {
                break 'all;
            }
            let text = script(&mut random, native);
            calls += 1;
            *begun.lock().unwrap() = Instant::now();
            host.guard().start(host.guard().cancel_requests());
            let ran = match text.contains("fn build(") {
                true => std::fs::write(&file, &text)
                    .map_err(Into::into)
                    .and_then(|()| architectures.build(&file.to_string_lossy()).map(drop)),
                false => host.compile(ScriptSource::of_text("probe", text.clone())).and_then(|method| {
                    session.open(method);
                    session.run(&host).map(drop)
                }),
            };
            let late = begun.lock().unwrap().elapsed();
            let told = ran.as_ref().err().map(|e| format!("{e:#}")).unwrap_or_default();
            if ran.is_ok() {
                accepted.insert(format!("{native:?}"));
            }
            if told.contains("gradscope itself") || late > PATIENCE + LATE {
                wrong.push(format!("after {late:?}: {told}\n{text}"));
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    watcher.join().unwrap();
    eprintln!("{calls} calls, {} functions returned a value", accepted.len());
    assert!(calls > natives.len() / 20, "{calls} calls");
    assert!(wrong.is_empty(), "{} of {calls} calls:\n{}", wrong.len(), wrong.join("\n"));
}
