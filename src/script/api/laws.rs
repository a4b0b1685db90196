//! Property tests for every tensor function that scripts can call, on random arguments: no function may panic, and for NaN inputs each must
//! return NaN or an error, never a number.
//!
//! The tests cover all functions registered in the engine, so new functions are tested automatically. For more cases:
//! `PROPTEST_CASES=100000 cargo test --lib laws`.

use super::attack::OPTIONS;
use super::{Guard, register};
use crate::math::Tsne;
use crate::render::{Colormap, Figure, caption, paint, text};
use crate::script::engine::engine;
use crate::script::folders::Folders;
use crate::tensor::numbers;
use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use rhai::{Array, Dynamic, Engine, EvalAltResult, Map, Scope};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Functions that may return values other than NaN for NaN inputs: sizes, comparisons, tests for nonzero values (NaN counts as nonzero, as
/// in PyTorch), selection by a condition, and functions that create tensors.
const NO_VALUES: [&str; 23] = [
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "isnan",
    "isfinite",
    "any",
    "all",
    "where",
    "shape",
    "rank",
    "size",
    "numel",
    "len",
    "zeros_like",
    "new_tensor",
    "ones_like",
    "is_empty",
    "type_of",
    "to_string",
    "print",
];

/// Valid values of options and modes, and some invalid values.
const WORDS: [&str; 26] = [
    "linf",
    "l2",
    "l1",
    "l0",
    "inf",
    "bilinear",
    "nearest",
    "antialias",
    "corners",
    "png",
    "jpeg",
    "mean",
    "max",
    "flat",
    "midpoint",
    "gauss_legendre",
    "trapezoid",
    "riemann_left",
    "slic",
    "grid",
    "euclidean",
    "cosine",
    "range",
    "p99",
    "",
    "ü\n",
];

/// A function that scripts can call: its name and parameter types.
#[derive(Clone, Debug)]
struct Native {
    name: String,
    takes: Vec<String>,
}

impl Native {
    /// Parses a signature such as `name(_: candle_core::Tensor, i64) -> …`; `None` if the function takes no tensor, or a type for
    /// which no values are generated.
    fn of(signature: &str) -> Option<Self> {
        let (name, rest) = signature.split_once('(')?;
        let (takes, _) = rest.rsplit_once(") ->").or(rest.rsplit_once(')'))?;
        let known = ["Tensor", "i64", "f64", "bool", "string", "Array", "map", "Dynamic"];
        let plain = |word: &str| {
            let word = word.rsplit(": ").next().unwrap_or(word).replace("&mut ", "");
            let last = word.rsplit("::").next().unwrap_or(&word).trim();
            match last {
                _ if word.contains("BTreeMap") => "map".into(),
                _ if word.contains("Vec<") => "Array".into(),
                "array" => "Array".into(),
                "Map" => "map".into(),
                "ImmutableString" | "str" | "&str" => "string".into(),
                last => last.to_string(),
            }
        };
        let takes = takes.replace("BTreeMap<SmartString<LazyCompact>,Dynamic>", "BTreeMap");
        let takes: Vec<_> = takes.split(',').map(str::trim).filter(|t| !t.is_empty()).map(plain).collect();
        let drawn = takes.iter().all(|t| known.contains(&t.as_str())) && takes.iter().any(|t| t == "Tensor");
        drawn.then(|| Self { name: name.into(), takes })
    }

    /// The source code of a call whose arguments are named `a0`, `a1` and so on.
    fn call(&self) -> String {
        let args: Vec<_> = (0..self.takes.len()).map(|i| format!("a{i}")).collect();
        match self.name.strip_prefix("get$") {
            Some(property) => format!("{}.{property}", args[0]),
            None if self.name.starts_with("index$get") => format!("{}[{}]", args[0], args[1..].join(", ")),
            None if self.name.starts_with(|c: char| c.is_alphabetic()) => format!("{}({})", self.name, args.join(", ")),
            None if args.len() == 1 => format!("{}{}", self.name, args[0]),
            None => args.join(&format!(" {} ", self.name)),
        }
    }

    fn bare(&self) -> &str {
        self.name.strip_prefix("get$").unwrap_or(&self.name)
    }
}

/// One argument, with a value of every type; a call uses the value of the type that the function expects at that position.
#[derive(Clone, Debug)]
struct Argument {
    shape: Vec<usize>,
    values: Vec<f64>,
    wide: bool,
    whole: i64,
    real: f64,
    word: usize,
    list: Vec<i64>,
    option: (usize, u8),
}

impl Argument {
    fn tensor(&self, all_nan: bool) -> Tensor {
        let count: usize = self.shape.iter().product();
        let value = |i: usize| if all_nan { f64::NAN } else { self.values[i % self.values.len()] };
        let values: Vec<_> = (0..count).map(value).collect();
        let dtype = if self.wide { DType::F64 } else { DType::F32 };
        Tensor::from_vec(values, self.shape.clone(), &Device::Cpu).and_then(|t| t.to_dtype(dtype)).expect("it fits")
    }

    fn list(&self) -> Array {
        self.list.iter().map(|&i| Dynamic::from(i)).collect()
    }

    fn of(&self, kind: &str, all_nan: bool) -> Dynamic {
        match kind {
            "Tensor" => Dynamic::from(self.tensor(all_nan)),
            "i64" => self.whole.into(),
            "f64" => self.real.into(),
            "bool" => self.wide.into(),
            "string" => WORDS[self.word % WORDS.len()].into(),
            "Array" => self.list().into(),
            "map" => self.options(all_nan).into(),
            _ => match self.option.1 % 6 {
                0 => self.whole.into(),
                1 => self.real.into(),
                2 => self.list().into(),
                3 => Dynamic::UNIT,
                4 => WORDS[self.word % WORDS.len()].into(),
                _ => Dynamic::from(self.tensor(all_nan)),
            },
        }
    }

    fn options(&self, all_nan: bool) -> Map {
        let key = OPTIONS[self.option.0 % OPTIONS.len()];
        if self.option.1.is_multiple_of(3) { Map::new() } else { Map::from([(key.into(), self.of("", all_nan))]) }
    }
}

/// Generates ordinary numbers and floating-point edge cases.
fn number() -> impl Strategy<Value = f64> {
    let edges = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e-45,
        1e-38,
        1e-300,
        5e-324,
        3e38,
        -3e38,
        1e38,
        1e300,
        f64::MAX,
        0.5,
        255.0,
        1e-7,
    ];
    prop_oneof![2 => proptest::sample::select(edges.to_vec()), 3 => -3.0..3.0f64]
}

fn whole() -> impl Strategy<Value = i64> {
    prop_oneof![6 => -3i64..7, 1 => proptest::sample::select(vec![i64::MIN, i64::MAX, 1 << 40, -(1 << 40), 40])]
}

fn argument() -> impl Strategy<Value = Argument> {
    let shape = proptest::collection::vec(prop_oneof![1 => Just(0usize), 3 => Just(1), 6 => 2usize..6], 0..=4);
    let values = proptest::collection::vec(number(), 1..24);
    let list = proptest::collection::vec(whole(), 0..5);
    (shape, values, any::<bool>(), whole(), number(), 0..WORDS.len(), list, (0..OPTIONS.len(), any::<u8>())).prop_map(
        |(shape, values, wide, whole, real, word, list, option)| Argument {
            shape,
            values,
            wide,
            whole,
            real,
            word,
            list,
            option,
        },
    )
}

/// All numbers in the value returned by a call; empty if there are none.
fn values(answer: &Dynamic) -> Vec<f64> {
    if let Some(tensor) = answer.read_lock::<Tensor>() {
        return numbers(&tensor).expect("numbers");
    }
    if let Some(array) = answer.read_lock::<Array>() {
        return array.iter().flat_map(values).collect();
    }
    if let Some(map) = answer.read_lock::<Map>() {
        return map.values().flat_map(values).collect();
    }
    match (answer.as_float(), answer.as_int()) {
        (Ok(v), _) => vec![v],
        (_, Ok(v)) => vec![v as f64],
        _ => vec![],
    }
}

/// If the returned value is a figure, draws it and checks that its caption states the number of non-finite values.
fn look(answer: &Dynamic) -> Result<(), String> {
    let Some(figure) = answer.read_lock::<Figure>() else { return Ok(()) };
    let bad = figure.values().map_or(0, |v| v.data.iter().filter(|v| !v.is_finite()).count());
    let told = caption(&figure);
    paint(&figure, Colormap::Viridis);
    text(&figure, 80);
    if bad > 0 && !told.contains(&format!("{bad} of ")) {
        return Err(format!("the caption is \"{told}\", although {bad} values are not finite"));
    }
    Ok(())
}

/// Calls `native` with the arguments. A script error is fine; a panic, or a number instead of NaN, fails the test.
fn tried(engine: &Engine, native: &Native, arguments: &[Argument], all_nan: bool) -> Result<(), String> {
    let mut scope = Scope::new();
    for (i, (kind, argument)) in native.takes.iter().zip(arguments).enumerate() {
        scope.push_dynamic(format!("a{i}"), argument.of(kind, all_nan));
    }
    let told = |what: String| Err(format!("{}: {what}", native.call()));
    let call = || engine.eval_with_scope::<Dynamic>(&mut scope, &native.call());
    let answer = match catch_unwind(AssertUnwindSafe(call)) {
        Err(_) => return told("it panics".into()),
        Ok(Err(error)) => match *error {
            EvalAltResult::ErrorFunctionNotFound(..) | EvalAltResult::ErrorParsing(..) => {
                return told(error.to_string());
            }
            _ => return Ok(()),
        },
        Ok(Ok(answer)) => answer,
    };
    if catch_unwind(AssertUnwindSafe(|| look(&answer))).map_err(|_| "drawing it panics".to_string())?.is_err() {
        return told("a figure hides values that are not finite".into());
    }
    let gave = values(&answer);
    if all_nan && !answer.is::<Tsne>() && !NO_VALUES.contains(&native.bare()) && !excused(native, arguments) {
        let given = native.takes.iter().zip(arguments).any(|(t, a)| t == "Tensor" && a.shape.iter().all(|&n| n > 0));
        if given && !gave.is_empty() && gave.iter().all(|v| !v.is_nan()) {
            return told(format!("NaN in, {:?} out", &gave[..gave.len().min(8)]));
        }
    }
    Ok(())
}

/// Whether a call with NaN may correctly return a number: `NaN ** 0` and `1 ** NaN` are 1 (IEEE 754), and L0 counts nonzero
/// values.
fn excused(native: &Native, arguments: &[Argument]) -> bool {
    let one = |i: usize| arguments[i].whole == 0 || arguments[i].real as f32 == 0.0;
    match native.bare() {
        "**" | "pow" => one(1) || arguments[0].real as f32 == 1.0 || arguments[0].whole == 1,
        "norm" => one(1),
        "lengths" | "normalize" | "project" => WORDS[arguments[1].word % WORDS.len()] == "l0",
        _ => false,
    }
}

fn natives() -> (Engine, Vec<Native>) {
    let guard = Arc::new(Guard::default());
    let engine = engine(&guard, Folders::plugins(None));
    let mut natives: Vec<_> = plain_signatures().iter().filter_map(|s| Native::of(s)).collect();
    natives.sort_by_key(|n| format!("{n:?}"));
    (engine, natives)
}

/// Signatures of the functions that scripts can call, without the language's built-in functions.
fn plain_signatures() -> Vec<String> {
    let mut plain = Engine::new_raw();
    register(&mut plain, &Arc::new(Guard::default()));
    plain.gen_fn_signatures(false)
}

#[test]
fn no_tensor_function_panics_or_turns_nan_into_a_number() {
    let (engine, natives) = natives();
    let names: Vec<_> = natives.iter().map(Native::bare).collect();
    let known =
        ["+", "/", "abs", "sign", "sum", "argmax", "reshape", "conv2d", "lstsq", "project", "kmeans", "heatmap"];
    let signatures = || plain_signatures().join("\n");
    assert!(natives.len() > 150 && known.iter().all(|name| names.contains(name)), "{names:?}\n{}", signatures());
    // Each case calls every function, so a few cases are enough.
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { 24 };
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(arguments in proptest::collection::vec(argument(), 5), all_nan: bool)| {
        let wrong: Vec<_> = natives.iter().filter_map(|n| tried(&engine, n, &arguments, all_nan).err()).collect();
        prop_assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}
