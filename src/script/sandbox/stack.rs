//! Runs scripts on stacks deep enough for nested values.
//!
//! Nested values are copied, printed and dropped by recursive functions, in rhai and in the standard library. Each nesting level
//! occupies at least one small memory block, so a limit on a thread's small blocks, derived from its stack size, also limits the
//! recursion depth, no matter how a script nests its values.

use crate::memory::{left_of_address_space, requests_here, small_blocks_here};
use crate::sync::LockUnpoisoned;
use std::cell::Cell;
use std::sync::Mutex;
use std::thread::Builder;

/// Preferred stack size in bytes. Only address space is reserved; memory is committed on demand.
const LARGEST: usize = if cfg!(target_pointer_width = "64") { 1 << 30 } else { 128 << 20 };
/// Minimum stack size in bytes for scripts, since calls in scripts and layers in networks recurse deeply.
const LEAST: usize = 64 << 20;
/// Stack bytes budgeted per small block: twice what the most demanding recursive function needs per nesting level.
const A_BLOCK: usize = 1024;

/// Number of small blocks per script above which each allocation counts as an operation.
const MANY: isize = 1 << 13;

thread_local! {
    /// The stack size in bytes of this thread if this module created the thread, otherwise 0.
    static STACK: Cell<usize> = const { Cell::new(0) };
    /// Whether a script is running on this thread.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// Number of small blocks held by this thread when its outermost script started.
    static BEFORE: Cell<isize> = const { Cell::new(0) };
    /// Number of allocations made by this thread as of the previous script operation.
    static REQUESTS: Cell<u64> = const { Cell::new(0) };
}

/// Calls `f` on a deep stack: on this thread if its stack is deep, otherwise on a new thread.
pub(crate) fn deep<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    if STACK.get() > 0 {
        return f();
    }
    let task = Mutex::new(Some(f));
    let take = || task.lock_unpoisoned().take();
    let ran = std::thread::scope(|scope| {
        for size in sizes() {
            let work = move || {
                STACK.set(size);
                take().map(|f| f())
            };
            // Not enough address space for a stack of this size; try a smaller one.
            let Ok(thread) = Builder::new().name("script".into()).stack_size(size).spawn_scoped(scope, work) else {
                continue;
            };
            return thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        None
    });
    match ran {
        Some(answer) => answer,
        // No thread could be started.
        None => take().map_or_else(|| unreachable!("the closure has not been called"), |f| f()),
    }
}

/// Spawns a named thread with a deep stack.
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

/// Stack sizes in bytes to try, from the preferred size down to [`LEAST`].
fn sizes() -> impl Iterator<Item = usize> {
    let wanted = left_of_address_space().map_or(LARGEST, |left| (left / 8).clamp(LEAST, LARGEST));
    std::iter::successors(Some(wanted), |&size| (size / 2 >= LEAST).then_some(size / 2))
}

/// Calls `f`, which runs a script. Memory blocks that this thread already held when the outermost script started do not count
/// toward the limit.
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

/// The weight of the current script operation: 1, plus one per allocation if the script holds many small values, since a single
/// operation may copy all of them.
///
/// Errors with a reason if the script holds so many small values that their nesting may exceed the stack.
pub(crate) fn weigh() -> Result<u64, String> {
    let most = (STACK.get().max(1 << 20) / 4 * 3 / A_BLOCK) as isize;
    let held = small_blocks_here() - BEFORE.get();
    if held > most {
        return Err(format!(
            "the script holds more than {most} small values (arrays, maps, closures, strings); keep fewer of them"
        ));
    }
    let requests = requests_here();
    let before = REQUESTS.replace(requests);
    Ok(if held > MANY { 1 + requests - before } else { 1 })
}
