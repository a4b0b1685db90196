//! A stack that is known to be deep enough for scripts.
//!
//! Values that hold values are copied, printed and dropped by functions that call themselves, in rhai and in the standard
//! library. Each level of nesting is a small block of memory or several; so a limit on the small blocks of a thread, by the
//! size of its stack, is a limit on how deep these functions go, however a script nests.

use crate::backend;
use crate::memory::{left_of_address_space, requests_here, small_blocks_here};
use crate::sync::LockUnpoisoned;
use std::cell::Cell;
use std::sync::Mutex;
use std::thread::Builder;

/// The stack where there is room for it: reserved, not used, until something needs it.
const LARGEST: usize = if cfg!(target_pointer_width = "64") { 1 << 30 } else { 128 << 20 };
/// The smallest stack that scripts are run on: they call each other deep, and so do layers.
const LEAST: usize = 64 << 20;
/// Bytes of the stack for each small block: what the deepest of these functions takes for a level, and as much again.
const A_BLOCK: usize = 1024;

/// This many small values are many: from here on each request for memory counts as an operation.
const MANY: isize = 1 << 13;

thread_local! {
    /// The stack of this thread, where it was made here; else 0.
    static STACK: Cell<usize> = const { Cell::new(0) };
    /// Whether a script runs here.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// The small blocks that this thread held when its outermost script began.
    static BEFORE: Cell<isize> = const { Cell::new(0) };
    /// How often the thread had asked for memory at the operation before.
    static REQUESTS: Cell<u64> = const { Cell::new(0) };
}

/// Calls `f` on a deep stack: this thread's, or that of a new one.
pub(crate) fn deep<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    if STACK.get() > 0 {
        return f();
    }
    let task = Mutex::new(Some(f));
    let take = || task.lock_unpoisoned().take();
    let exact = backend::exact();
    let ran = std::thread::scope(|scope| {
        for size in sizes() {
            let work = move || {
                STACK.set(size);
                take().map(|f| backend::with_direct_sums(exact, f))
            };
            // A stack that there is no room for: a smaller one may do.
            let Ok(thread) = Builder::new().name("script".into()).stack_size(size).spawn_scoped(scope, work) else {
                continue;
            };
            return thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        None
    });
    match ran {
        Some(answer) => answer,
        // No thread at all.
        None => take().map_or_else(|| unreachable!("it was not called"), |f| f()),
    }
}

/// The same for a thread of its own.
pub(crate) fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> std::io::Result<std::thread::JoinHandle<()>> {
    let task = std::sync::Arc::new(Mutex::new(Some(f)));
    let mut last = Err(std::io::ErrorKind::OutOfMemory.into());
    for size in sizes() {
        let task = task.clone();
        last = Builder::new().name(name.into()).stack_size(size).spawn(move || {
            STACK.set(size);
            let f = task.lock_unpoisoned().take();
            f.into_iter().for_each(|f| f());
        });
        if last.is_ok() {
            break;
        }
    }
    last
}

/// From the one wanted to the least.
fn sizes() -> impl Iterator<Item = usize> {
    let wanted = left_of_address_space().map_or(LARGEST, |left| (left / 8).clamp(LEAST, LARGEST));
    std::iter::successors(Some(wanted), |&size| (size / 2 >= LEAST).then_some(size / 2))
}

/// Calls a script; what this thread holds when the outermost one begins is not the script's.
pub(crate) fn script<T>(f: impl FnOnce() -> T) -> T {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            INSIDE.set(self.0);
        }
    }
    let back = Back(INSIDE.replace(true));
    if !back.0 {
        BEFORE.set(small_blocks_here());
        REQUESTS.set(requests_here());
    }
    f()
}

/// How many operations one more is worth: where a script holds many small values, an operation may copy all of them.
///
/// Errors: why the script must end, if what it holds may be nested deeper than the stack allows.
pub(crate) fn weigh() -> Result<u64, String> {
    let most = (STACK.get().max(1 << 20) / 4 * 3 / A_BLOCK) as isize;
    let held = small_blocks_here() - BEFORE.get();
    if held > most {
        return Err(format!(
            "the script holds more than {most} small values (arrays, maps, closures, texts); keep fewer, and nest them less"
        ));
    }
    let requests = requests_here();
    let before = REQUESTS.replace(requests);
    Ok(if held > MANY { 1 + requests - before } else { 1 })
}
