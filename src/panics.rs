//! Converts panics in code that processes untrusted data into errors, without printing anything.
//!
//! Third-party decoders panic on some damaged files. Panics inside [`caught`] or [`decoding`] become errors; all others are
//! reported as usual.

use anyhow::{Error, Result, anyhow};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether panics on this thread are being caught by [`caught`].
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder on untrusted data. `what` names the format in the error message, such as `PNG`.
///
/// Errors if the decoder returns an error or panics.
pub fn decoding<T, E: Into<Error>>(what: &str, decode: impl FnOnce() -> Result<T, E>) -> Result<T> {
    match caught(decode) {
        Ok(decoded) => decoded.map_err(Into::into),
        Err(panic) => Err(anyhow!("the {what} decoder failed: {panic}; the file is damaged")),
    }
}

/// Calls `f`. If it panics, the panic's message is returned as an error instead of being printed.
pub fn caught<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    quiet();
    let before = CAUGHT.replace(true);
    let answer = catch_unwind(AssertUnwindSafe(f));
    CAUGHT.set(before);
    answer.map_err(|panic| message(&*panic))
}

/// Whether panics on this thread are being caught; a panic hook should then stay silent.
pub fn is_caught() -> bool {
    CAUGHT.get()
}

/// Installs a panic hook that stays silent for caught panics. Hooks installed later must check [`is_caught`] themselves.
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
    text.unwrap_or("unknown reason").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_decoder_becomes_an_error_and_its_own_errors_are_unchanged() {
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
            assert!(is_caught(), "the outer guard is still active");
        })
        .unwrap();
        assert!(!is_caught());
    }
}
