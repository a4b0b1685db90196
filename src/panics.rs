//! Panics in code that is handed what comes from outside: they become errors, and print nothing.
//!
//! Decoders of other people panic on some damaged files. A thread that is inside [`caught`] or [`decoding`] tells a panic
//! as an error; every other panic is reported as Rust does.

use anyhow::{Error, Result, anyhow};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether a panic on this thread is told as an error.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder on what came from outside; `what` names it in the error, `PNG`.
pub fn decoding<T, E: Into<Error>>(what: &str, decode: impl FnOnce() -> Result<T, E>) -> Result<T> {
    match caught(decode) {
        Ok(decoded) => decoded.map_err(Into::into),
        Err(panic) => Err(anyhow!("the {what} decoder failed: {panic}; the file is damaged")),
    }
}

/// Runs this; a panic is an error with its message, and prints nothing.
pub fn caught<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    quiet();
    let before = CAUGHT.replace(true);
    let answer = catch_unwind(AssertUnwindSafe(f));
    CAUGHT.set(before);
    answer.map_err(|panic| message(&*panic))
}

/// Whether a panic on this thread is about to be told as an error, so that a hook has nothing to say.
pub fn is_caught() -> bool {
    CAUGHT.get()
}

/// Caught panics print nothing from now on. Hooks that are set later ask [`is_caught`].
pub fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !is_caught() {
                before(info);
            }
        }));
    });
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("for an unknown reason").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_decoder_is_an_error_and_its_own_errors_stay_as_they_are() {
        let panics = |text: &'static str| decoding("PNG", || -> Result<()> { panic!("{text}") });
        assert_eq!(
            panics("index 3 of 2").unwrap_err().to_string(),
            "the PNG decoder failed: index 3 of 2; the file is damaged"
        );
        assert_eq!(decoding("PNG", || Err::<(), _>(anyhow!("no"))).unwrap_err().to_string(), "no");
        assert_eq!(decoding("PNG", || Ok::<_, Error>(3)).unwrap(), 3);
    }

    #[test]
    fn a_thread_is_guarded_only_while_it_decodes() {
        assert!(!is_caught());
        caught(|| {
            assert!(is_caught());
            assert_eq!(caught(|| panic!("inner")), Err::<(), _>("inner".into()));
            assert!(is_caught(), "the outer one still holds");
        })
        .unwrap();
        assert!(!is_caught());
    }
}
