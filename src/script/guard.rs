//! What stops a script: a cancel flag, a count of its operations, a limit on memory.

use anyhow::{Result, ensure};
use std::sync::atomic::{AtomicU64, Ordering};

/// Operations that one call into a script may take, some seconds of pure script.
const OPERATIONS: u64 = 40_000_000;
/// Bytes that one tensor may hold.
const TENSOR: usize = 4 << 30;
/// A tensor of at least so many bytes is set against the machine's free memory.
const LARGE: usize = 16 << 20;
/// Operations between two looks at the memory in use.
const LOOK: u64 = 1 << 14;

/// Limits of one host, shared with whoever may cancel it.
///
/// Whoever cancels counts up `wanted`; the work under way knows the count it started at. So a wish that comes between
/// two pieces of work is not lost, and an old one does not end new work.
#[derive(Debug, Default)]
pub struct Guard {
    wanted: AtomicU64,
    started: AtomicU64,
    operations: AtomicU64,
}

impl Guard {
    /// A new call begins: its operations are counted from zero.
    pub(super) fn begin(&self) {
        self.operations.store(0, Ordering::Relaxed);
    }

    /// Work that knows of this many wishes to cancel begins.
    pub fn start(&self, known: u64) {
        self.started.store(known, Ordering::Relaxed);
    }

    /// Ends what runs now, at its next look.
    pub fn cancel(&self) {
        self.wanted.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether what runs now is to end.
    pub fn is_cancelled(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > self.started.load(Ordering::Relaxed)
    }

    /// Native work asks between its parts whether to go on.
    pub fn tick(&self) -> Result<()> {
        ensure!(!self.is_cancelled(), "cancelled");
        Ok(())
    }

    /// One script operation; a text says why the script ends.
    pub(super) fn count(&self) -> Option<String> {
        if self.is_cancelled() {
            return Some("cancelled".into());
        }
        let n = self.operations.fetch_add(1, Ordering::Relaxed);
        if n >= OPERATIONS {
            return Some(format!("the script took {OPERATIONS} operations without an end; an endless loop?"));
        }
        if n % LOOK == LOOK - 1 && available().is_some_and(|bytes| bytes < 256 << 20) {
            return Some("the script used up the machine's memory; keep fewer tensors".into());
        }
        None
    }

    /// Asks for a tensor of this shape before it is made.
    pub fn reserve(&self, shape: &[usize], bytes_each: usize) -> Result<()> {
        self.tick()?;
        let bytes = shape.iter().try_fold(bytes_each, |product, &n| product.checked_mul(n));
        let text = || crate::tensor::shape_text(shape);
        let bytes = bytes.filter(|&b| b <= TENSOR);
        let limit = TENSOR >> 30;
        ensure!(bytes.is_some(), "a tensor of {} numbers is too large; one may hold up to {limit} GiB", text());
        let free = bytes.filter(|&b| b >= LARGE).and(available());
        ensure!(
            free.zip(bytes).is_none_or(|(free, bytes)| bytes < free / 2),
            "no memory for a tensor of {} numbers",
            text()
        );
        Ok(())
    }
}

/// Bytes of memory that the machine can still give, where it tells.
fn available() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
    line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kib| kib << 10)
}
