//! Real weights, pictures and reference values from the folder `GRADSCOPE_SHARED`.
//!
//! Tests that need them are skipped if the variable is unset: each prints a line, and the test binary prints their number at
//! the end. If it is set, a missing file fails the test.

use std::collections::BTreeSet;
use std::io::Write;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once};

/// Skipped tests, by thread name (libtest names threads after tests) and location.
static SKIPPED: Mutex<BTreeSet<(String, u32)>> = Mutex::new(BTreeSet::new());

/// The folder; `None`, with a line on stderr, if the variable is unset.
#[track_caller]
pub fn shared() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("GRADSCOPE_SHARED").map(PathBuf::from) else {
        skip(Location::caller());
        return None;
    };
    assert!(folder.is_dir(), "GRADSCOPE_SHARED is {folder:?}, which is not a folder");
    Some(folder)
}

/// A file or folder in it.
#[track_caller]
pub fn shared_file(name: impl AsRef<Path>) -> Option<PathBuf> {
    let path = shared()?.join(name);
    assert!(path.exists(), "{path:?} is missing; unset GRADSCOPE_SHARED to skip this test");
    Some(path)
}

/// Reports that the current test is skipped. libtest captures only the output of print macros, so this line is visible.
fn skip(place: &Location) {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(summarize_at_exit);
    let name = std::thread::current().name().unwrap_or("a test").to_string();
    let line = format!("skipped: {name} ({}:{})\n", place.file(), place.line());
    if SKIPPED.lock().unwrap().insert((name, place.line())) {
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Prints the number of skipped tests below libtest's own summary.
fn summarize_at_exit() {
    extern "C" fn summarize() {
        let count = SKIPPED.lock().map_or(0, |skipped| skipped.len());
        let why = "GRADSCOPE_SHARED, the folder with real weights and pictures, is not set";
        let _ = writeln!(std::io::stderr(), "{count} of these tests were skipped: {why}\n");
    }
    #[cfg(unix)]
    // SAFETY: `summarize` does not unwind and uses only statics and stderr, which outlive `main`.
    unsafe {
        libc::atexit(summarize);
    }
}
