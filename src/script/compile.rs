//! Compiling methods and calling their functions, with reports of what goes wrong.

use super::engine::{self, Read};
use super::folders::Source;
use super::message::Report;
use super::method::Method;
use super::report::{Libraries, Texts, raise};
use crate::kernel;
use crate::panics::caught;
use anyhow::{Error, Result, anyhow, bail};
use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, FuncArgs, Map, Scope};
use std::collections::BTreeMap;

/// Compiles a method and reads its declarations.
///
/// Errors carry a [`Report`] where the script is at fault.
pub(super) fn compile(engine: &Engine, read: &Read, source: Source) -> Result<Method> {
    let (name, text) = (source.name.clone(), source.text.clone());
    if text.trim().is_empty() {
        bail!("the script \"{name}\" is empty; is it still being written?");
    }
    let declared = protected(|| declarations(engine, &text));
    let libraries = read.libraries();
    let texts = Texts { name: &name, text: &text, libraries: &libraries };
    let (ast, plugin) = declared.map_err(|e| report(engine, &texts, &e, None))?;
    let method = Method::new(source, ast, plugin, imported(&text, &libraries));
    method.map_err(|e| Report::at_text(&name, &text, "const PLUGIN", format!("{e:#}")).into())
}

/// Those of the libraries that a text imports, and that these import: an engine knows others' too.
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
    let plugin = scope.get_value::<Dynamic>("PLUGIN").and_then(Dynamic::try_cast::<Map>);
    Ok((ast, plugin))
}

/// Calls a function of a method.
pub(super) fn call(
    engine: &Engine,
    method: &Method,
    function: &str,
    args: impl FuncArgs,
) -> Result<Dynamic, Box<EvalAltResult>> {
    let options = CallFnOptions::new().eval_ast(true).rewind_scope(true);
    let call = || engine.call_fn_with_options::<Dynamic>(options, &mut Scope::new(), &method.ast, function, args);
    kernel::exactly(method.exact, call)
}

/// An error of a script as people read it.
pub(super) fn report(engine: &Engine, texts: &Texts, error: &EvalAltResult, function: Option<&str>) -> Error {
    Report::run(texts, error, function, &engine::functions(engine)).into()
}

/// Runs a script; a panic in native code is an error of the script.
pub(super) fn protected<T>(f: impl FnOnce() -> Result<T, Box<EvalAltResult>>) -> Result<T, Box<EvalAltResult>> {
    caught(f).unwrap_or_else(|text| Err(raise(anyhow!("gradscope itself failed inside this script: {text}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_native_code_is_an_error_of_the_script_that_called_it() {
        let error = protected::<()>(|| panic!("index 3 of 2")).unwrap_err();
        assert!(error.to_string().contains("gradscope itself failed inside this script: index 3 of 2"), "{error}");
    }
}
