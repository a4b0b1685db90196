//! The script engine, which blocks file access and stops infinite loops and runaway recursion.

mod builtins;
pub mod captured;
pub mod compile;
mod libraries;
mod resolver;

use super::api;
use super::folders::Folders;
use super::report::raise;
use super::sandbox::bounded_text;
use super::sandbox::guard::Guard;
use super::sandbox::limits;
pub(super) use libraries::CompiledLibraries;
use resolver::Resolver;
use rhai::packages::{Package, StandardPackage};
use rhai::{Engine, EvalAltResult, FLOAT, INT, OptimizationLevel};
use std::sync::Arc;

/// Creates an engine that resolves imports in `folders`.
pub(super) fn engine(guard: &Arc<Guard>, folders: Folders) -> Engine {
    engine_that_tells(guard, folders, CompiledLibraries::default())
}

/// Creates an engine that resolves imports in `folders` and stores the source code of each imported library in `read`.
pub(super) fn engine_that_tells(guard: &Arc<Guard>, folders: Folders, read: CompiledLibraries) -> Engine {
    let mut engine = Engine::new_raw();
    StandardPackage::new().register_into_engine(&mut engine);
    limit(&mut engine);
    let counter = guard.clone();
    engine.on_progress(move |_| counter.count().map(Into::into));
    engine.set_module_resolver(Resolver::new(folders, read));
    engine.on_print(|_| {}).on_debug(|_, _, _| {});
    numbers(&mut engine);
    bounded_text::register(&mut engine);
    builtins::register(&mut engine);
    captured::register(&mut engine);
    api::register(&mut engine, guard);
    engine
}

/// The signatures of all functions available to scripts.
pub(super) fn functions(engine: &Engine) -> Vec<String> {
    engine.gen_fn_signatures(true)
}

fn limit(engine: &mut Engine) {
    engine.disable_symbol("eval");
    engine.set_strict_variables(true);
    engine.set_fail_on_invalid_map_property(true);
    engine.set_fast_operators(false);
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_call_levels(64).set_max_expr_depths(64, 64).set_max_functions(512).set_max_variables(1024);
    engine.set_max_modules(64).set_max_string_size(limits::STRING);
    engine.set_max_array_size(limits::ARRAY).set_max_map_size(limits::MAP);
}

/// Registers integer division that errors if the result is inexact, mathematical functions of integers, and a `sleep` that always
/// errors.
fn numbers(engine: &mut Engine) {
    engine.register_fn("/", divide);
    engine.register_fn("/=", |a: &mut INT, b: INT| -> Result<(), Box<EvalAltResult>> {
        *a = divide(*a, b)?;
        Ok(())
    });
    engine.register_fn("sleep", |_: INT| Err::<(), _>(no_sleep()));
    engine.register_fn("sleep", |_: FLOAT| Err::<(), _>(no_sleep()));
    for name in ["sqrt", "exp", "ln", "log"] {
        let f: fn(f64) -> f64 = match name {
            "sqrt" => f64::sqrt,
            "exp" => f64::exp,
            _ => f64::ln,
        };
        engine.register_fn(name, move |x: INT| f(x as FLOAT));
    }
}

fn divide(a: INT, b: INT) -> Result<INT, Box<EvalAltResult>> {
    match a.checked_rem(b) {
        None => Err(raise(anyhow::anyhow!("{a} / {b}: division by zero"))),
        Some(0) => Ok(a / b),
        Some(_) => Err(raise(anyhow::anyhow!("{a} / {b} is not an integer, although both operands are"))),
    }
}

fn no_sleep() -> Box<EvalAltResult> {
    raise(anyhow::anyhow!("scripts cannot sleep; to animate a method, run it in steps"))
}
