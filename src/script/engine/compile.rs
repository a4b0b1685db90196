//! Compiles methods and calls their functions, converting errors to reports.

use super::libraries::CompiledLibraries;
use crate::interrupt;
use crate::panics::caught;
use crate::script::engine;
use crate::script::folders::ScriptSource;
use crate::script::method::Method;
use crate::script::report::{Libraries, Texts, raise};
use crate::script::sandbox::bounded_text::text;
use crate::script::sandbox::guard::Guard;
use crate::script::sandbox::nesting::{DEEPEST, is_shallow};
use crate::script::sandbox::stack;
use crate::script::summary::Report;
use anyhow::{Error, Result, anyhow, bail};
use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, FuncArgs, Map, Scope};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Compiles a method and reads its declarations.
///
/// Errors in the script carry a [`Report`].
pub(in crate::script) fn compile(
    engine: &Engine,
    guard: &Arc<Guard>,
    read: &CompiledLibraries,
    source: ScriptSource,
) -> Result<Method> {
    let (name, text) = (source.name.clone(), source.text.clone());
    if text.trim().is_empty() {
        bail!("the script \"{name}\" is empty");
    }
    let declared = protected(guard, || declarations(engine, &text));
    let libraries = read.libraries();
    let texts = Texts { name: &name, text: &text, libraries: &libraries };
    let (ast, plugin) = declared.map_err(|e| report(engine, &texts, &e, None))?;
    let imported = imported(&text, &libraries);
    let constants = read.captures(&ast, &imported).constants();
    let method = Method::new(source, (ast, constants), plugin, imported);
    method.map_err(|e| Report::at_text(&name, &text, "const PLUGIN", format!("{e:#}")).into())
}

/// Selects the libraries imported by the script `text`, directly or indirectly, from all libraries that the engine has compiled.
fn imported(text: &str, all: &Libraries) -> Libraries {
    let (mut wanted, mut found) = (vec![text], BTreeMap::new());
    while let Some(text) = wanted.pop() {
        let names = text.split("import \"").skip(1).filter_map(|rest| rest.split('"').next());
        for (name, text) in names.filter_map(|name| all.get_key_value(name)) {
            if found.insert(name.clone(), text.clone()).is_none() {
                wanted.push(text);
            }
        }
    }
    found.into()
}

fn declarations(engine: &Engine, text: &str) -> Result<(AST, Option<Map>), Box<EvalAltResult>> {
    let mut scope = Scope::new();
    let ast = engine.compile_into_self_contained(&scope, text)?;
    engine.run_ast_with_scope(&mut scope, &ast)?;
    let plugin = scope.get_value::<Dynamic>("PLUGIN").map(|value| settled(value, "PLUGIN is")).transpose()?;
    Ok((ast, plugin.and_then(Dynamic::try_cast::<Map>)))
}

/// Calls a function of a method.
pub(in crate::script) fn call(
    engine: &Engine,
    method: &Method,
    function: &str,
    args: impl FuncArgs,
) -> Result<Dynamic, Box<EvalAltResult>> {
    let options = CallFnOptions::new().eval_ast(true).rewind_scope(true).with_tag(method.constants.clone());
    let call = || engine.call_fn_with_options::<Dynamic>(options, &mut Scope::new(), &method.ast, function, args);
    settled(call()?, &format!("fn {function} returned"))
}

/// Returns `value` if it may leave the deep stack on which scripts run. Errors, with a message that starts with `what`, if it is nested
/// too deeply to be copied, printed and dropped on a normal stack.
pub(in crate::script) fn settled(value: Dynamic, what: &str) -> Result<Dynamic, Box<EvalAltResult>> {
    match is_shallow(&value) {
        true => Ok(value),
        false => Err(raise(anyhow!("{what} a value nested more than {DEEPEST} levels deep; use fewer levels"))),
    }
}

/// Converts a script error to a report for the user.
pub(in crate::script) fn report(
    engine: &Engine,
    texts: &Texts,
    error: &EvalAltResult,
    function: Option<&str>,
) -> Error {
    Report::run(texts, error, function, || engine::functions(engine)).into()
}

/// Runs a script on a deep stack. `guard` can cancel native code called by the script, and panics in native code become script
/// errors. No deeply nested value leaves the deep stack: thrown values are converted to strings, and results must have been
/// checked by [`settled`].
pub(in crate::script) fn protected<T: Send>(
    guard: &Arc<Guard>,
    f: impl FnOnce() -> Result<T, Box<EvalAltResult>> + Send,
) -> Result<T, Box<EvalAltResult>> {
    let probe = guard.probe();
    stack::deep(move || {
        let run = || interrupt::within(probe, || stack::script(f));
        let answer = match (caught(run), guard.cancelled()) {
            // Native code was cancelled by a panic that unwinds to here.
            (Err(_), Some(why)) => Err(raise(interrupt::Stopped(why))),
            (Err(text), None) => Err(raise(anyhow!("internal error inside this script: {text}"))),
            (Ok(answer), _) => answer,
        };
        answer.map_err(|mut error| {
            tell(&mut error);
            error
        })
    })
}

/// Replaces a thrown value with its string representation.
fn tell(error: &mut EvalAltResult) {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => tell(inner),
        EvalAltResult::ErrorRuntime(value, _)
        | EvalAltResult::ErrorTerminated(value, _)
        | EvalAltResult::Return(value, _)
        | EvalAltResult::Exit(value, _)
            if !value.is_string() =>
        {
            *value = text(value).into();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_native_code_is_an_error_of_the_script_that_called_it() {
        let error = protected::<()>(&Arc::default(), || panic!("index 3 of 2")).unwrap_err();
        assert!(error.to_string().contains("internal error inside this script: index 3 of 2"), "{error}");
    }
}
