//! A counting allocator: it counts the bytes held by the whole program, and the small blocks held by each thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

/// Bytes that a thread counts before it updates the total; the total is off by at most this much per thread.
const UNTOLD: isize = 32 << 10;
/// Maximum size of a small block in bytes; boxed script values are no larger.
const SMALL: usize = 128;

static HELD: AtomicIsize = AtomicIsize::new(0);
static EXHAUSTED: OnceLock<fn()> = OnceLock::new();

/// The allocation counts of one thread.
struct Here {
    untold: Cell<isize>,
    small: Cell<isize>,
    requests: Cell<u64>,
}

thread_local! {
    static HERE: Here = const { Here { untold: Cell::new(0), small: Cell::new(0), requests: Cell::new(0) } };
}

/// Bytes currently held by the program.
pub fn held() -> usize {
    HELD.load(Ordering::Relaxed).max(0) as usize
}

/// Number of blocks of up to 128 bytes that this thread has allocated, minus the number it has freed.
pub fn small_blocks_here() -> isize {
    HERE.with(|here| here.small.get())
}

/// Number of allocations made by this thread.
pub fn requests_here() -> u64 {
    HERE.with(|here| here.requests.get())
}

/// Sets a function to call when the system is out of memory, before the program exits with an error. The app uses it to restore
/// the terminal. Only the first call has an effect; `f` must not allocate.
pub fn on_exhaustion(f: fn()) {
    // Later calls are ignored.
    let _ = EXHAUSTED.set(f);
}

/// The system allocator, with counters. If an allocation fails, the program prints one line and exits with code 1; large
/// allocations are checked in advance, so this should be rare.
#[derive(Debug)]
pub struct Counting;

fn grow(size: usize) {
    HERE.with(|here| {
        here.requests.set(here.requests.get() + 1);
        here.count(size as isize, 1);
    });
}

fn shrink(size: usize) {
    HERE.with(|here| here.count(-(size as isize), -1));
}

impl Here {
    fn count(&self, bytes: isize, blocks: isize) {
        if bytes.unsigned_abs() <= SMALL {
            self.small.set(self.small.get() + blocks);
        }
        let untold = self.untold.get() + bytes;
        if untold.abs() < UNTOLD {
            self.untold.set(untold);
        } else {
            self.untold.set(0);
            HELD.fetch_add(untold, Ordering::Relaxed);
        }
    }
}

/// Returns `block`, or ends the program if it is null.
fn checked(block: *mut u8, size: usize) -> *mut u8 {
    if block.is_null() {
        exhausted(size);
    }
    block
}

/// Ends the program with an error message, because an allocator must not unwind.
#[cold]
#[cfg(unix)]
fn exhausted(size: usize) {
    if let Some(f) = EXHAUSTED.get() {
        f();
    }
    // Only the first thread to get here prints the line, in a single write.
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::SeqCst) {
        let mut line = Line { bytes: [0; 256], length: 0 };
        line.push(b"error: out of memory: the system refused to allocate ");
        line.number(size);
        line.push(b" bytes; use smaller pictures, batches or networks, or raise the limit (ulimit -v)\n");
        // SAFETY: the bytes outlive the call.
        unsafe { libc::write(2, line.bytes.as_ptr().cast(), line.length) };
    }
    // SAFETY: no code of this process runs afterwards.
    unsafe { libc::_exit(1) }
}

/// A line of at most 256 bytes that is built without allocating.
#[cfg(unix)]
struct Line {
    bytes: [u8; 256],
    length: usize,
}

#[cfg(unix)]
impl Line {
    fn push(&mut self, text: &[u8]) {
        for (place, byte) in self.bytes[self.length..].iter_mut().zip(text) {
            *place = *byte;
            self.length += 1;
        }
    }

    fn number(&mut self, number: usize) {
        let (mut digits, mut first, mut rest) = ([b'0'; 20], 20, number);
        while rest > 0 {
            first -= 1;
            digits[first] += (rest % 10) as u8;
            rest /= 10;
        }
        self.push(&digits[first..]);
    }
}

#[cold]
#[cfg(not(unix))]
fn exhausted(_: usize) {}

// SAFETY: every call is forwarded unchanged to the system allocator; counting does not touch the caller's memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller upholds the same contract.
        checked(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as above.
        checked(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        shrink(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        shrink(layout.size());
        grow(size);
        // SAFETY: as above.
        checked(unsafe { System.realloc(at, layout, size) }, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_blocks_count_where_they_are_allocated_and_large_ones_everywhere() {
        let small = small_blocks_here();
        let boxes: Vec<_> = (0..1000u64).map(Box::new).collect();
        assert_eq!(small_blocks_here() - small, 1000);
        drop(boxes);
        // Other tests free memory concurrently.
        let counts = |_| {
            let before = held();
            let large = std::hint::black_box(vec![1u8; 64 << 20]);
            held() >= before + large.len() - (1 << 20)
        };
        assert!((0..200).any(counts));
        assert_eq!(small_blocks_here(), small);
    }
}
