//! Stops scripts that are cancelled, exceed the operation limit, or use too much memory.

use super::stack;
use super::trace_cache::TraceCache;
use crate::exec::{MAX_BATCH_ELEMENTS, RunOptions};
use crate::graph::Graph;
use crate::interrupt::{Probe, Stopped};
use crate::memory::{self, available, budget, held, text};
use crate::sync::LockUnpoisoned;
use anyhow::{Result, ensure};
use candle_core::Device;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// Maximum number of operations per call into a script: a few seconds of pure script code.
const OPERATIONS: u64 = 40_000_000;
/// Maximum size of a tensor in bytes.
const TENSOR: usize = 4 << 30;
/// The end of the message for a script that does not end.
pub(in crate::script) const ENDLESS: &str = "is there an infinite loop?";

/// Number of operations between checks of available memory.
const LOOK: u64 = 1 << 16;
/// Maximum number of pending notes to the user. Further notes are dropped.
const NOTES: usize = 64;
/// Bytes of memory that must stay available on the machine. A script that leaves less is stopped.
const SPARE: usize = 256 << 20;

/// The limits on a host's scripts, shared with code that may cancel them.
///
/// Each cancel request increments `wanted`. Running work compares that count with its value when the work started, so a request
/// made between two pieces of work is not lost, and an old request does not end new work.
#[derive(Debug, Default)]
pub struct Guard {
    options: RunOptions,
    wanted: AtomicU64,
    started: AtomicU64,
    /// Number of requests to stop opening a network.
    stopped: AtomicU64,
    operations: AtomicU64,
    /// A cache of the most recent traces.
    pub(in crate::script) recent: TraceCache,
    /// The cache folder for data set features. If unset, features are recomputed on each use.
    cache: OnceLock<PathBuf>,
    /// Notes to the user about the current result.
    notes: Mutex<Vec<String>>,
    /// The reason passed to [`Guard::end`], if it ended the current work.
    reason: Mutex<Option<String>>,
    /// Whether the running computation has noticed the stop request.
    noticed: AtomicBool,
    /// Whether the current work saves its state when cancelled, so that the program must wait for it.
    held: AtomicBool,
}

impl Guard {
    /// Creates a guard for scripts whose networks and tensors use the device and precision in `options`.
    pub fn new(options: RunOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// The device and precision of the host's networks.
    pub(crate) fn options(&self) -> &RunOptions {
        &self.options
    }

    /// The device of tensors created by scripts.
    pub(crate) fn device(&self) -> &Device {
        &self.options.device
    }

    /// Sets the cache folder for data set features. Only the first call has an effect.
    pub fn keep_in(&self, folder: PathBuf) {
        // If a folder was already set, it is kept.
        let _ = self.cache.set(folder);
    }

    /// The cache folder for data set features, if set.
    pub(crate) fn cache(&self) -> Option<&Path> {
        self.cache.get().map(PathBuf::as_path)
    }

    /// Starts a new call by resetting the operation count.
    pub(crate) fn begin(&self) {
        self.operations.store(0, Ordering::Relaxed);
    }

    /// Adds a note to the user about the current result, unless already present.
    pub(crate) fn note(&self, text: String) {
        let mut notes = self.notes.lock_unpoisoned();
        if notes.len() < NOTES && !notes.contains(&text) {
            notes.push(text);
        }
    }

    /// Removes and returns all notes added since the last call.
    pub fn notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock_unpoisoned())
    }

    /// Marks the start of new work, given the number of known cancel requests. Only later requests cancel the new work.
    pub fn start(&self, known: u64) {
        *self.reason.lock_unpoisoned() = None;
        self.noticed.store(false, Ordering::Relaxed);
        self.started.store(known, Ordering::Relaxed);
    }

    /// The number of cancel requests so far.
    pub fn cancel_requests(&self) -> u64 {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Requests cancellation of the current work, which stops at its next check.
    pub fn cancel(&self) {
        self.wanted.fetch_add(1, Ordering::Relaxed);
    }

    /// Cancels the opening of a network. Unlike other work, opening is not cancelled by newer requests, since these refer to the new
    /// network.
    pub fn stop_opening(&self) {
        self.stopped.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of calls to [`Guard::stop_opening`] so far.
    pub fn stops(&self) -> u64 {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Cancels the current work like [`Guard::cancel`], with a reason.
    pub fn end(&self, why: String) {
        *self.reason.lock_unpoisoned() = Some(why);
        self.cancel();
    }

    /// The reason passed to [`Guard::end`], if any.
    pub fn ended(&self) -> Option<String> {
        self.reason.lock_unpoisoned().clone()
    }

    /// A closure that native code in lower modules calls to check whether it was cancelled, and why.
    pub(crate) fn probe(self: &Arc<Self>) -> Probe {
        let guard = self.clone();
        Arc::new(move || guard.cancelled())
    }

    /// Marks the start or end of work that saves its state on cancellation, such as training, and must therefore be awaited.
    pub fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// Whether the current work will end by itself, because it has noticed the stop request or saves its state on cancellation
    /// (see [`Guard::hold`]).
    pub fn has_noticed(&self) -> bool {
        self.noticed.load(Ordering::Relaxed) || self.held.load(Ordering::Relaxed)
    }

    /// Whether the current work was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancel_requests() > self.started.load(Ordering::Relaxed)
    }

    /// Errors if the current work was cancelled or exceeds the memory limit. Native code must call this regularly during long
    /// computations.
    pub fn tick(&self) -> Result<()> {
        match self.verdict() {
            Some(why) => Err(Stopped(why).into()),
            None => Ok(()),
        }
    }

    /// Counts one script operation. Returns a reason if the script must stop.
    pub(crate) fn count(&self) -> Option<String> {
        let weight = match stack::weigh() {
            Ok(weight) => weight,
            Err(why) => return Some(why),
        };
        let n = self.operations.fetch_add(weight, Ordering::Relaxed);
        if n >= OPERATIONS {
            return Some(format!("the script exceeded {OPERATIONS} operations; {ENDLESS}"));
        }
        if n / LOOK != (n + weight) / LOOK && available().is_some_and(|bytes| bytes < SPARE) {
            return Some("the machine is out of memory; keep fewer tensors".into());
        }
        self.verdict()
    }

    /// The reason for cancellation, if the current work was cancelled.
    pub(crate) fn cancelled(&self) -> Option<String> {
        self.is_cancelled().then(|| {
            self.noticed.store(true, Ordering::Relaxed);
            self.ended().unwrap_or_else(|| "cancelled".into())
        })
    }

    fn verdict(&self) -> Option<String> {
        if let Some(why) = self.cancelled() {
            return Some(why);
        }
        let (held, budget) = (held(), budget());
        (held > budget).then(|| {
            format!("out of memory: {} is in use, and the limit is {}; keep fewer tensors", text(held), text(budget))
        })
    }

    /// Reserves memory for a tensor of the given shape before its creation. Errors if the tensor is too large. Sizes of 0 count
    /// as 1, because the strides of an empty tensor are products of the other sizes and must not overflow.
    pub fn reserve(&self, shape: &[usize], bytes_each: usize) -> Result<()> {
        self.tick()?;
        let bytes = shape.iter().try_fold(bytes_each, |product, &n| product.checked_mul(n.max(1)));
        ensure!(
            bytes.is_some_and(|b| b <= TENSOR),
            "a tensor of {} elements is too large; the maximum is {}",
            crate::tensor::shape_text(shape),
            text(TENSOR)
        );
        memory::reserve_tensor(shape, bytes_each)
    }

    /// Reserves memory for the activations of all nodes in a forward pass on `batch` pictures of shape `[C, H, W]`.
    pub fn reserve_run(&self, graph: &Graph, batch: usize, picture: &[usize]) -> Result<()> {
        let bytes = graph.elements(picture).saturating_mul(batch).saturating_mul(4);
        self.reserve_bytes(bytes, || format!("the activations of {batch} pictures"))
    }

    /// For a forward pass on a large batch that is split into parts, returns the number of pictures of shape `[C, H, W]` per part and
    /// reserves memory for one part.
    pub fn reserve_parts(&self, graph: &Graph, picture: &[usize]) -> Result<usize> {
        let part = graph.pictures_within(MAX_BATCH_ELEMENTS.min(budget().saturating_sub(held()) / 4), picture);
        self.reserve_run(graph, part, picture).map(|()| part)
    }

    fn reserve_bytes(&self, bytes: usize, what: impl Fn() -> String) -> Result<()> {
        self.tick()?;
        memory::reserve(bytes, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;
    use crate::graph::op::Relu;

    #[test]
    fn a_run_that_exceeds_memory_is_split_into_parts() {
        // One picture accounts for a quarter of a part's values.
        let mut builder = Builder::new(&[MAX_BATCH_ELEMENTS / 8]);
        let end = builder.add("relu", Relu, &[0]).unwrap();
        let graph = builder.finish(end).unwrap();
        let guard = Guard::default();
        let picture = [MAX_BATCH_ELEMENTS / 8];
        let part = guard.reserve_parts(&graph, &picture);
        let enough = budget() / (4 * graph.elements(&picture));
        match part {
            Err(error) => {
                assert!(error.to_string().contains("not enough memory for the activations of 1 pictures"), "{error}")
            }
            Ok(part) => assert!((1..=enough.min(4)).contains(&part), "{part}"),
        }
        assert!(guard.reserve_run(&graph, enough + 1, &picture).is_err());
    }
}
