//! What is wrong in a person's words, and what would have worked.

use crate::script::sandbox::bounded_text::text;
use crate::script::sandbox::limits;
use crate::words;
pub(crate) use crate::words::closest;
use rhai::{EvalAltResult, ParseErrorType};

/// What people of other tools write, with its first argument where the word has another meaning too, and what it is here.
const ELSEWHERE: [(&str, &str); 7] = [
    ("map (Tensor", "heatmap(t, \"title\", #{ over: cx.input }) or signed(t, \"title\")"),
    ("imshow", "image(t, \"title\") or heatmap(t, \"title\")"),
    ("plot", "line(#{ name: values }, \"title\")"),
    ("randn_like", "cx.randn(x.shape)"),
    ("rand_like", "cx.rand(x.shape)"),
    ("grad (", "backward(trace, logit(class)).input"),
    ("numpy", "a tensor as it is; there is nothing to turn it into"),
];

/// What went wrong, in one sentence.
pub(in crate::script) fn message(error: &EvalAltResult) -> String {
    let told = match error {
        EvalAltResult::ErrorRuntime(text, _) if text.is_string() => text.to_string(),
        EvalAltResult::ErrorRuntime(value, _) => format!("the script threw {}", text(value)),
        EvalAltResult::ErrorTerminated(why, _) => text(why),
        EvalAltResult::ErrorParsing(ParseErrorType::VariableUndefined(name), _)
        | EvalAltResult::ErrorVariableNotFound(name, _) => format!("no variable \"{name}\""),
        EvalAltResult::ErrorParsing(kind, _) => small(&kind.to_string()),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => {
            format!("no function {}", signature.replacen(" (", "(", 1))
        }
        EvalAltResult::ErrorPropertyNotFound(name, _) => format!("the map has no entry \"{name}\""),
        EvalAltResult::ErrorModuleNotFound(name, _) => format!("no library \"{name}\""),
        EvalAltResult::ErrorStackOverflow(_) => "functions call each other too deep".into(),
        EvalAltResult::ErrorDataTooLarge(what, _) => too_large(what),
        EvalAltResult::ErrorSystem(_, inner) => inner.to_string(),
        other => small(&without_place(other)),
    };
    clean(&told)
}

/// For `Size of object map`, `Size of array/BLOB`, `Length of string`.
fn too_large(what: &str) -> String {
    let what = what.to_lowercase();
    if what.contains("map") {
        format!("a map holds more than {} values, those of maps inside it counted", limits::MAP)
    } else if what.contains("array") {
        format!("an array holds more than {} values, those of arrays inside it counted", limits::ARRAY)
    } else {
        format!("a string is longer than {} bytes, or an array's strings together are", limits::STRING)
    }
}

/// What would have worked, where that can be told; `functions` lists the signatures of what scripts may call, which takes
/// milliseconds.
pub(in crate::script) fn advice(error: &EvalAltResult, functions: impl Fn() -> Vec<String>) -> Option<String> {
    match error {
        EvalAltResult::ErrorFunctionNotFound(signature, _) => function(signature, &functions()),
        EvalAltResult::ErrorDotExpr(text, _) => property(text, &functions()),
        EvalAltResult::ErrorDataRace(..) => Some(
            "a closure uses an array, a map or a variable that the script assigns again, and is given to a method of that \
             very value; use the function form: map(list, |x| …), backward(trace, seed, #{ rules: … })"
                .into(),
        ),
        EvalAltResult::ErrorParsing(ParseErrorType::VariableUndefined(_), _)
        | EvalAltResult::ErrorVariableNotFound(..) => {
            Some("functions see their own variables only; constants of the file are global::NAME".into())
        }
        EvalAltResult::ErrorParsing(ParseErrorType::Reserved(word), _) => reserved(word),
        EvalAltResult::ErrorPropertyNotFound(name, _) => {
            Some(format!("m.get(\"{name}\") gives () where there is none, \"{name}\" in m asks"))
        }
        EvalAltResult::ErrorModuleNotFound(..) => Some("libraries lie in plugins/lib: import \"lib/name\" as name;".into()),
        EvalAltResult::ErrorDataTooLarge(what, _) if !what.contains("string") => {
            Some("many numbers belong into a tensor: zeros([n]), stack(list), cat(list, 0)".into())
        }
        EvalAltResult::ErrorStackOverflow(_) => Some("a function that calls itself needs an end".into()),
        EvalAltResult::ErrorRuntime(text, _) if text.is_string() => whole_division(&text.to_string()),
        _ => None,
    }
}

/// That nothing of this kind has this name, with the one that was meant, or all there are.
pub(in crate::script) fn unknown(kind: &str, name: &str, names: &[String]) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    match closest(last, names.iter().map(String::as_str)) {
        Some(near) => format!("no {kind} named \"{}\"; did you mean \"{near}\"?", words::name(name)),
        None => format!("no {kind} named \"{}\"; known are {}", words::name(name), names.join(", ")),
    }
}

/// For `clampp (Tensor, i64)`: a function of a similar name, or the arguments that the function takes.
fn function(signature: &str, functions: &[String]) -> Option<String> {
    let name = signature.split([' ', '(']).next().unwrap_or(signature);
    if name.starts_with("anon$") {
        return Some(
            "a closure made by an imported library cannot be called here; let the library export a function and wrap it: |site, r| lib::rule(site, r)"
                .into(),
        );
    }
    if let Some(operator) = Some(name).filter(|n| !n.starts_with(|c: char| c.is_alphabetic() || c == '_')) {
        return Some(format!("\"{operator}\" does not go between these"));
    }
    if let Some((_, ours)) = ELSEWHERE.iter().find(|(word, _)| signature.starts_with(word)) {
        return Some(format!("here that is {ours}"));
    }
    let forms: Vec<_> = functions.iter().filter(|f| name_of(f) == name).map(|f| shown(f)).collect();
    if forms.is_empty() {
        let near = closest(name, functions.iter().map(|f| name_of(f)).filter(|n| !n.contains('$')))?;
        return Some(format!("did you mean \"{near}\"?"));
    }
    let mut forms: Vec<_> = forms.into_iter().filter(|f| f.len() < 80).take(4).collect();
    forms.dedup();
    Some(format!("there is {}", forms.join(", ")))
}

/// For `Unknown property 'inptu' - a getter is not registered for type 'Context'`.
fn property(text: &str, functions: &[String]) -> Option<String> {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    let (name, of) = (quoted.next()?, clean(quoted.next()?));
    let of = format!("(_: &mut {of})");
    let own = functions.iter().filter(|f| f.contains(&of)).filter_map(|f| f.strip_prefix("get$")?.split('(').next());
    let own: Vec<_> = own.collect();
    match closest(name, own.iter().copied()) {
        Some(near) => Some(format!("did you mean \"{near}\"? there are {}", own.join(", "))),
        None if functions.iter().any(|f| name_of(f) == name) => {
            Some(format!("{name}() is a function, call it with ()"))
        }
        None if !own.is_empty() => Some(format!("there are {}", own.join(", "))),
        None => None,
    }
}

fn reserved(word: &str) -> Option<String> {
    Some(match word {
        "var" => "the variance is x.variance()".into(),
        "null" | "nil" => "nothing is ()".into(),
        _ => format!("\"{word}\" is kept for the language; take another name"),
    })
}

/// For `8 / 255 is not a whole number, …`.
fn whole_division(text: &str) -> Option<String> {
    let (division, _) = text.split_once(" is not a whole number")?;
    let (a, b) = division.split_once(" / ")?;
    Some(format!("write {a}.0 / {b} for a real number"))
}

fn name_of(signature: &str) -> &str {
    signature.split('(').next().unwrap_or(signature).trim()
}

/// `clamp(_: Tensor, _: Dynamic) -> …` as `clamp(Tensor, any)`.
fn shown(signature: &str) -> String {
    let end = signature.find(") ->").map_or(signature.len(), |i| i + 1);
    clean(&signature[..end].replace("_: ", "").replace("&mut ", ""))
}

fn without_place(error: &EvalAltResult) -> String {
    let text = error.to_string();
    let place = format!(" ({})", error.position());
    text.strip_suffix(&place).unwrap_or(&text).to_string()
}

/// The engine's sentences begin with a capital letter, ours do not.
fn small(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}

/// Rust's names of types as scripts know them.
fn clean(text: &str) -> String {
    let mut text = text.strip_prefix("Runtime error: ").unwrap_or(text).to_string();
    for (rust, ours) in [
        ("candle_core::tensor::Tensor", "Tensor"),
        ("gradscope::script::", ""),
        ("&str | ImmutableString | String", "string"),
        ("alloc::string::String", "string"),
        ("rhai::types::dynamic::Dynamic", "any"),
        ("types::dynamic::Dynamic", "any"),
        ("i64", "int"),
        ("f64", "float"),
    ] {
        text = text.replace(rust, ours);
    }
    text
}
