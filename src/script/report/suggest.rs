//! Plain-language error messages with suggestions for fixing the error.

use crate::script::sandbox::bounded_text::text;
use crate::script::sandbox::limits;
use crate::words;
pub(crate) use crate::words::closest;
use rhai::{EvalAltResult, ParseErrorType};

/// Function names from other tools and their equivalents in gradscope. An ambiguous name is followed by the type of its first
/// argument.
const ELSEWHERE: [(&str, &str); 7] = [
    ("map (Tensor", "heatmap(t, \"title\", #{ over: cx.input }) or signed(t, \"title\")"),
    ("imshow", "image(t, \"title\") or heatmap(t, \"title\")"),
    ("plot", "line(#{ name: values }, \"title\")"),
    ("randn_like", "cx.randn(x.shape)"),
    ("rand_like", "cx.rand(x.shape)"),
    ("grad (", "backward(trace, logit(class)).input"),
    ("numpy", "the tensor itself; no conversion is needed"),
];

/// A one-sentence description of an error.
pub(in crate::script) fn message(error: &EvalAltResult) -> String {
    let told = match error {
        EvalAltResult::ErrorRuntime(text, _) if text.is_string() => text.to_string(),
        EvalAltResult::ErrorRuntime(value, _) => format!("the script threw {}", text(value)),
        EvalAltResult::ErrorTerminated(why, _) => text(why),
        EvalAltResult::ErrorParsing(ParseErrorType::VariableUndefined(name), _)
        | EvalAltResult::ErrorVariableNotFound(name, _) => format!("unknown variable \"{name}\""),
        EvalAltResult::ErrorParsing(kind, _) => small(&kind.to_string()),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => {
            format!("unknown function {}", signature.replacen(" (", "(", 1))
        }
        EvalAltResult::ErrorPropertyNotFound(name, _) => format!("the map has no entry \"{name}\""),
        EvalAltResult::ErrorModuleNotFound(name, _) => format!("unknown library \"{name}\""),
        EvalAltResult::ErrorStackOverflow(_) => "function calls are nested too deeply".into(),
        EvalAltResult::ErrorDataTooLarge(what, _) => too_large(what),
        EvalAltResult::ErrorSystem(_, inner) => inner.to_string(),
        other => small(&without_place(other)),
    };
    clean(&told)
}

/// The message for a value that exceeds a size limit; `what` is rhai's name of the limit: `Size of object map`, `Size of
/// array/BLOB` or `Length of string`.
fn too_large(what: &str) -> String {
    let what = what.to_lowercase();
    if what.contains("map") {
        format!("a map has more than {} values, including those of nested maps", limits::MAP)
    } else if what.contains("array") {
        format!("an array has more than {} values, including those of nested arrays", limits::ARRAY)
    } else {
        format!("a string, or all strings in an array combined, exceed {} bytes", limits::STRING)
    }
}

/// A suggestion of what would work instead, if any. `functions` lists the signatures available to scripts; it takes milliseconds,
/// so it is called only when needed.
pub(in crate::script) fn advice(error: &EvalAltResult, functions: impl Fn() -> Vec<String>) -> Option<String> {
    match error {
        EvalAltResult::ErrorFunctionNotFound(signature, _) => function(signature, &functions()),
        EvalAltResult::ErrorDotExpr(text, _) => property(text, &functions()),
        EvalAltResult::ErrorDataRace(..) => Some(
            "a closure that captures an array, a map or a reassigned variable cannot be passed to a method of that value; \
             use the function form: map(list, |x| …), backward(trace, seed, #{ rules: … })"
                .into(),
        ),
        EvalAltResult::ErrorParsing(ParseErrorType::VariableUndefined(_), _)
        | EvalAltResult::ErrorVariableNotFound(..) => {
            Some("functions can access only their own variables; refer to constants of the file as global::NAME".into())
        }
        EvalAltResult::ErrorParsing(ParseErrorType::Reserved(word), _) => reserved(word),
        EvalAltResult::ErrorPropertyNotFound(name, _) => {
            Some(format!("use `m.get(\"{name}\")`, which returns () for a missing key, or test `\"{name}\" in m`"))
        }
        EvalAltResult::ErrorModuleNotFound(..) => Some("libraries are in plugins/lib: import \"lib/name\" as name;".into()),
        EvalAltResult::ErrorDataTooLarge(what, _) if !what.contains("string") => {
            Some("use a tensor for large data: zeros([n]), stack(list), cat(list, 0)".into())
        }
        EvalAltResult::ErrorStackOverflow(_) => Some("check that the recursion terminates".into()),
        EvalAltResult::ErrorRuntime(text, _) if text.is_string() => whole_division(&text.to_string()),
        _ => None,
    }
}

/// A message that there is no `kind` named `name`, suggesting a similar name or, failing that, listing all `names`.
pub(in crate::script) fn unknown(kind: &str, name: &str, names: &[String]) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    match closest(last, names.iter().map(String::as_str)) {
        Some(near) => format!("no {kind} named \"{}\"; did you mean \"{near}\"?", words::name(name)),
        None => format!("no {kind} named \"{}\"; expected one of {}", words::name(name), names.join(", ")),
    }
}

/// Suggestion for a call that matches no function, such as `clampp (Tensor, i64)`: a function with a similar name, or the
/// signatures of the function with this name.
fn function(signature: &str, functions: &[String]) -> Option<String> {
    let name = signature.split([' ', '(']).next().unwrap_or(signature);
    if name.starts_with("anon$") {
        return Some(
            "a closure created in an imported library cannot be called here; export a function from the library and wrap it: |site, r| lib::rule(site, r)"
                .into(),
        );
    }
    if let Some(operator) = Some(name).filter(|n| !n.starts_with(|c: char| c.is_alphabetic() || c == '_')) {
        return Some(format!("\"{operator}\" is not defined for these types"));
    }
    if let Some((_, ours)) = ELSEWHERE.iter().find(|(word, _)| signature.starts_with(word)) {
        return Some(format!("the equivalent in gradscope is {ours}"));
    }
    let forms: Vec<_> = functions.iter().filter(|f| name_of(f) == name).map(|f| shown(f)).collect();
    if forms.is_empty() {
        let near = closest(name, functions.iter().map(|f| name_of(f)).filter(|n| !n.contains('$')))?;
        return Some(format!("did you mean \"{near}\"?"));
    }
    let mut forms: Vec<_> = forms.into_iter().filter(|f| f.len() < 80).take(4).collect();
    forms.dedup();
    Some(format!("available signatures: {}", forms.join(", ")))
}

/// Suggestion for rhai's error `Unknown property 'inptu' - a getter is not registered for type 'Context'`.
fn property(text: &str, functions: &[String]) -> Option<String> {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    let (name, of) = (quoted.next()?, clean(quoted.next()?));
    let of = format!("(_: &mut {of})");
    let own = functions.iter().filter(|f| f.contains(&of)).filter_map(|f| f.strip_prefix("get$")?.split('(').next());
    let own: Vec<_> = own.collect();
    match closest(name, own.iter().copied()) {
        Some(near) => Some(format!("did you mean \"{near}\"? available properties: {}", own.join(", "))),
        None if functions.iter().any(|f| name_of(f) == name) => Some(format!("{name} is a function; call it with ()")),
        None if !own.is_empty() => Some(format!("available properties: {}", own.join(", "))),
        None => None,
    }
}

fn reserved(word: &str) -> Option<String> {
    Some(match word {
        "var" => "for the variance, use x.variance()".into(),
        "null" | "nil" => "use () for no value".into(),
        _ => format!("\"{word}\" is a reserved word; use another name"),
    })
}

/// Suggestion for the error `8 / 255 is not an integer, …`, raised by an inexact integer division.
fn whole_division(text: &str) -> Option<String> {
    let (division, _) = text.split_once(" is not an integer")?;
    let (a, b) = division.split_once(" / ")?;
    Some(format!("write {a}.0 / {b} for a floating-point result"))
}

fn name_of(signature: &str) -> &str {
    signature.split('(').next().unwrap_or(signature).trim()
}

/// Converts a signature `clamp(_: Tensor, _: Dynamic) -> …` to the form shown to users, `clamp(Tensor, any)`.
fn shown(signature: &str) -> String {
    let end = signature.find(") ->").map_or(signature.len(), |i| i + 1);
    clean(&signature[..end].replace("_: ", "").replace("&mut ", ""))
}

fn without_place(error: &EvalAltResult) -> String {
    let text = error.to_string();
    let place = format!(" ({})", error.position());
    text.strip_suffix(&place).unwrap_or(&text).to_string()
}

/// Lowercases the first letter of a script engine message, to match gradscope's style.
fn small(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}

/// Replaces Rust type names in a message with script type names.
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
