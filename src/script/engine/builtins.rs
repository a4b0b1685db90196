//! Replacements for rhai functions that ignore errors in closures, panic, or use unbounded memory: sorting and deduplicating with
//! closures, padding arrays, and string replacement.

use crate::script::report::raise;
use crate::script::sandbox::bounded_text::LONGEST;
use crate::script::sandbox::limits;
use anyhow::{anyhow, ensure};
use rhai::{
    Array, Blob, Dynamic, Engine, EvalAltResult, FnPtr, INT, ImmutableString, Map, NativeCallContext, Position,
};
use std::cmp::Ordering;

type Out<T> = Result<T, Box<EvalAltResult>>;

pub(super) fn register(engine: &mut Engine) {
    for name in ["sort", "sort_by"] {
        engine.register_fn(name, |context: NativeCallContext, array: &mut Array, by: FnPtr| sort(&context, array, &by));
        engine.register_fn(name, |context: NativeCallContext, array: &mut Array, by: &str| {
            sort(&context, array, &FnPtr::new(by)?)
        });
    }
    for name in ["order", "order_by"] {
        engine.register_fn(name, |context: NativeCallContext, array: Array, by: FnPtr| -> Out<Array> {
            let mut array = array;
            sort(&context, &mut array, &by).map(|()| array)
        });
    }
    for (name, descending) in [("sort", false), ("sort_desc", true)] {
        engine.register_fn(name, move |array: &mut Array| sort_plain(array, descending));
    }
    for (name, descending) in [("order", false), ("order_desc", true)] {
        engine.register_fn(name, move |array: Array| -> Out<Array> {
            let mut array = array;
            sort_plain(&mut array, descending).map(|()| array)
        });
    }
    engine.register_fn("dedup", |context: NativeCallContext, array: &mut Array, same: FnPtr| {
        dedup(&context, array, &same)
    });
    engine.register_fn("dedup", |context: NativeCallContext, array: &mut Array, same: &str| {
        dedup(&context, array, &FnPtr::new(same)?)
    });
    engine.register_fn("pad", pad);
    engine.register_fn("replace", |text: &mut ImmutableString, from: &str, to: &str| replace(text, from, to));
    engine.register_fn("replace", |text: &mut ImmutableString, from: &str, to: char| {
        replace(text, from, &to.to_string())
    });
    engine.register_fn("replace", |text: &mut ImmutableString, from: char, to: &str| {
        replace(text, &from.to_string(), to)
    });
    engine.register_fn("replace", |text: &mut ImmutableString, from: char, to: char| {
        replace(text, &from.to_string(), &to.to_string())
    });
}

/// Extends an array to length `len` with copies of `item`. Replaces rhai's `pad`, whose multiplication of sizes can
/// overflow.
fn pad(array: &mut Array, len: INT, item: Dynamic) -> Out<()> {
    let len = usize::try_from(len).unwrap_or(0);
    if len <= array.len() {
        return Ok(());
    }
    let held = array.iter().map(values).fold(0usize, usize::saturating_add);
    let more = (len - array.len()).saturating_mul(values(&item));
    if held.saturating_add(more) > limits::ARRAY {
        return Err(EvalAltResult::ErrorDataTooLarge("Size of array".into(), Position::NONE).into());
    }
    array.resize(len, item);
    Ok(())
}

/// The number of values in `value`, including itself and all nested values.
fn values(value: &Dynamic) -> usize {
    let inside = |all: &mut dyn Iterator<Item = &Dynamic>| all.map(values).fold(1, usize::saturating_add);
    if let Some(array) = value.read_lock::<Array>() {
        return inside(&mut array.iter());
    }
    if let Some(map) = value.read_lock::<Map>() {
        return inside(&mut map.values());
    }
    value.read_lock::<Blob>().map_or(1, |blob| blob.len().max(1))
}

/// Stable-sorts an array with a closure that compares two values. The closure returns a negative, zero or positive integer, or a
/// boolean: whether the first value comes first. If its results are inconsistent, the order is unspecified.
///
/// Errors if the closure fails or returns a different type, leaving the array unchanged.
fn sort(context: &NativeCallContext, array: &mut Array, by: &FnPtr) -> Out<()> {
    let (mut from, mut to) = (array.clone(), Array::with_capacity(array.len()));
    let mut width = 1;
    while width < from.len() {
        let mut pairs = from.into_iter().peekable();
        while pairs.peek().is_some() {
            let left: Vec<_> = pairs.by_ref().take(width).collect();
            let right: Vec<_> = pairs.by_ref().take(width).collect();
            merge(left, right, &mut to, |a, b| comes_later(context, by, a, b))?;
        }
        from = std::mem::take(&mut to);
        width *= 2;
    }
    *array = from;
    Ok(())
}

/// Merges two sorted arrays into one sorted array.
fn merge(
    left: Vec<Dynamic>,
    right: Vec<Dynamic>,
    to: &mut Array,
    later: impl Fn(&Dynamic, &Dynamic) -> Out<bool>,
) -> Out<()> {
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if later(a, b)? { &mut right } else { &mut left };
        to.extend(next.next());
    }
    to.extend(left.chain(right));
    Ok(())
}

/// Whether `a` comes after `b` in the order defined by the closure `by`.
fn comes_later(context: &NativeCallContext, by: &FnPtr, a: &Dynamic, b: &Dynamic) -> Out<bool> {
    let answer = by.call_raw(context, None, [a.clone(), b.clone()])?;
    if let Ok(order) = answer.as_int() {
        return Ok(order > 0);
    }
    let first = answer.as_bool().map_err(|kind| {
        raise(anyhow!(
            "a closure for sort must return an integer or a boolean, got {kind}; for floats use (a - b).sign()"
        ))
    })?;
    Ok(!first)
}

/// Sorts numbers, strings, characters or booleans, all of the same type.
fn sort_plain(array: &mut Array, descending: bool) -> Out<()> {
    let Some(first) = array.first() else { return Ok(()) };
    let kind = first.type_name();
    let check = || -> anyhow::Result<()> {
        let other = array.iter().find(|value| value.type_name() != kind);
        ensure!(
            other.is_none(),
            "cannot sort values of different types, {kind} and {}",
            other.map_or("", Dynamic::type_name)
        );
        ensure!(
            matches!(kind, "i64" | "f64" | "string" | "char" | "bool" | "()"),
            "values of type {kind} have no order; pass sort a closure |a, b| that returns -1, 0 or 1"
        );
        let nan = array.iter().filter(|value| value.as_float().is_ok_and(f64::is_nan)).count();
        ensure!(nan == 0, "cannot sort {} numbers because {nan} are NaN", array.len());
        Ok(())
    };
    check().map_err(raise)?;
    array.sort_by(|a, b| {
        let order = plain_order(a, b);
        if descending { order.reverse() } else { order }
    });
    Ok(())
}

fn plain_order(a: &Dynamic, b: &Dynamic) -> Ordering {
    if let (Ok(a), Ok(b)) = (a.as_int(), b.as_int()) {
        return a.cmp(&b);
    }
    if let (Ok(a), Ok(b)) = (a.as_float(), b.as_float()) {
        return a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    }
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        return a.as_str().cmp(b.as_str());
    }
    (a.as_char().ok(), a.as_bool().ok()).cmp(&(b.as_char().ok(), b.as_bool().ok()))
}

/// Removes each value for which the closure `same`, called with the last kept value and this value, returns true.
///
/// Errors if the closure fails or does not return a boolean, leaving the array unchanged.
fn dedup(context: &NativeCallContext, array: &mut Array, same: &FnPtr) -> Out<()> {
    let mut kept = Array::new();
    for value in array.iter() {
        let double = match kept.last() {
            None => false,
            Some(last) => {
                let answer = same.call_raw(context, None, [last.clone(), value.clone()])?;
                let wrong = |kind| raise(anyhow!("a closure for dedup must return a boolean, got {kind}"));
                answer.as_bool().map_err(wrong)?
            }
        };
        if !double {
            kept.push(value.clone());
        }
    }
    *array = kept;
    Ok(())
}

/// Replaces all occurrences of `from` with `to`.
fn replace(text: &mut ImmutableString, from: &str, to: &str) -> Out<()> {
    if text.is_empty() {
        return Ok(());
    }
    let places = text.matches(from).count();
    let length = (text.len() - places * from.len()) as u128 + places as u128 * to.len() as u128;
    if length > LONGEST as u128 {
        return Err(raise(anyhow!("the result of replace would have {length} bytes; the maximum is {LONGEST}")));
    }
    *text = text.replace(from, to).into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(script: &str) -> Result<String, String> {
        let mut engine = Engine::new();
        register(&mut engine);
        engine.eval::<Dynamic>(script).map(|v| v.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn sorting_is_stable_and_follows_the_closure() {
        let reversed = "let a = []; for i in 0..100 { a.push((i * 37) % 100); } a.sort(|a, b| b - a); a";
        let expected: Vec<_> = (0..100).rev().map(|i| i.to_string()).collect();
        assert_eq!(eval(reversed).unwrap(), format!("[{}]", expected.join(", ")));
        assert_eq!(
            eval("let a = [31, 12, 11, 32, 21]; a.sort(|a, b| a / 10 <= b / 10); a").unwrap(),
            "[12, 11, 21, 31, 32]"
        );
        assert_eq!(eval("[\"b\", \"a\"].order()").unwrap(), "[\"a\", \"b\"]");
        assert_eq!(eval("let a = [1.5, -1.0, 2.0]; a.sort_desc(); a").unwrap(), "[2.0, 1.5, -1.0]");
        assert_eq!(eval("let a = [1, 2, 2, 3]; a.dedup(|a, b| a == b); a").unwrap(), "[1, 2, 3]");
        assert_eq!(eval("let t = \"abab\"; t.replace(\"ab\", 'c'); t").unwrap(), "cc");
    }

    #[test]
    fn an_error_in_a_closure_ends_the_function_that_called_it() {
        for call in ["a.sort(|a, b| throw \"no\")", "a.order_by(|a, b| throw \"no\")", "a.dedup(|a, b| throw \"no\")"] {
            assert!(eval(&format!("let a = [3, 1, 2]; {call}")).unwrap_err().contains("no"), "{call}");
            let kept = format!("let a = [3, 1, 2]; try {{ {call} }} catch {{}} a");
            assert_eq!(eval(&kept).unwrap(), "[3, 1, 2]");
        }
    }

    #[test]
    fn invalid_comparisons_give_an_error_or_some_order_but_never_a_panic() {
        assert!(eval("let a = [3.0, 1.0]; a.sort(|a, b| a - b)").unwrap_err().contains("integer"));
        assert!(eval("let a = [0.0/0.0, 1.0, 2.0]; a.sort()").unwrap_err().contains("1 are NaN"));
        assert!(eval("let a = [1, \"a\"]; a.sort()").unwrap_err().contains("different types"));
        let mad =
            "let a = []; for i in 0..500 { a.push(i); } let n = 0; a.sort(|a, b| { n += 7919; n % 3 - 1 }); a.len()";
        assert_eq!(eval(mad).unwrap(), "500");
        assert!(eval("let a = []; for i in 0..100 { a.push(i); } a.sort(|a, b| true); a.len()").is_ok());
    }

    #[test]
    fn replacing_is_bounded() {
        let long = "let t = \"a\"; for i in 0..19 { t += t; } ";
        assert!(eval(&format!("{long} let u = t; t.replace(\"a\", u)")).unwrap_err().contains("bytes"));
        assert!(eval(&format!("{long} let u = t; t.replace(\"\", u)")).unwrap_err().contains("bytes"));
    }
}
