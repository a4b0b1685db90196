//! How much memory the large things of this program hold: tensors, by an allocator that counts them.
//!
//! The program installs it with `#[global_allocator]`; where nobody does, nothing is counted and only the limit on a
//! single tensor holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Allocations below this size are not counted: they are no tensors worth limiting.
const LARGE: usize = 64 << 10;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// Bytes that large allocations may hold in all: half of what the machine could give when first asked.
static BUDGET: LazyLock<usize> = LazyLock::new(|| available().map_or(8 << 30, |bytes| (bytes / 2).max(512 << 20)));

/// The system's allocator, with what large allocations hold counted.
#[derive(Debug)]
pub struct Counting;

/// Bytes that large allocations hold now.
pub fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

/// Bytes that they may hold.
pub(super) fn budget() -> usize {
    *BUDGET
}

/// Bytes of memory that the machine, or the group of processes we are in, can still give, where it tells.
pub(super) fn available() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
    let machine = line.split_whitespace().nth(1)?.parse::<usize>().ok()? << 10;
    let group =
        |file: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse::<usize>().ok();
    let own = group("memory.max").zip(group("memory.current")).map(|(max, now)| max.saturating_sub(now));
    Some(own.map_or(machine, |own| own.min(machine)))
}

fn grow(bytes: usize) {
    if bytes >= LARGE {
        HELD.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn shrink(bytes: usize) {
    if bytes >= LARGE {
        HELD.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed to the system's allocator unchanged; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
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
        unsafe { System.realloc(at, layout, size) }
    }
}
