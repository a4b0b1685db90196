//! What stops a script: a cancel flag, a count of its operations, a limit on memory.

use super::stack;
use super::trace_cache::TraceCache;
use crate::exec::MAX_BATCH_ELEMENTS;
use crate::graph::Graph;
use crate::interrupt::{Probe, Stopped};
use crate::memory::{self, available, budget, held, text};
use crate::sync::LockUnpoisoned;
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// Operations that one call into a script may take, some seconds of pure script.
const OPERATIONS: u64 = 40_000_000;
/// Bytes that one tensor may hold.
const TENSOR: usize = 4 << 30;
/// Operations between two looks at the machine's memory.
const LOOK: u64 = 1 << 16;
/// Notes that wait to be told, at most.
const NOTES: usize = 64;
/// Bytes that the machine is left with at least.
const SPARE: usize = 256 << 20;

/// Limits of one host, shared with whoever may cancel it.
///
/// Whoever cancels counts up `wanted`; the work under way knows the count it started at. So a wish that comes between
/// two pieces of work is not lost, and an old one does not end new work.
#[derive(Debug, Default)]
pub struct Guard {
    wanted: AtomicU64,
    started: AtomicU64,
    operations: AtomicU64,
    /// The latest runs of networks.
    pub(in crate::script) recent: TraceCache,
    /// Where features of data sets are kept; none: they are computed each time.
    cache: OnceLock<PathBuf>,
    /// What a person should know of the answer under way.
    notes: Mutex<Vec<String>>,
    /// Why the work under way was ended, where nobody cancelled it.
    reason: Mutex<Option<String>>,
    /// Whether the work under way knows that it is to end.
    noticed: AtomicBool,
    /// Whether what is under way is waited for.
    held: AtomicBool,
}

impl Guard {
    /// Keeps features of data sets in this folder.
    pub fn keep_in(&self, folder: PathBuf) {
        // The first folder holds.
        let _ = self.cache.set(folder);
    }

    /// The folder for features.
    pub(crate) fn cache(&self) -> Option<&Path> {
        self.cache.get().map(PathBuf::as_path)
    }

    /// A new call begins: its operations are counted from zero.
    pub(crate) fn begin(&self) {
        self.operations.store(0, Ordering::Relaxed);
    }

    /// Says something of the answer under way that a person should know; what is said again is told once.
    pub(crate) fn note(&self, text: String) {
        let mut notes = self.notes.lock_unpoisoned();
        if notes.len() < NOTES && !notes.contains(&text) {
            notes.push(text);
        }
    }

    /// What was said since this was last asked.
    pub fn notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock_unpoisoned())
    }

    /// Work that knows of this many wishes to cancel begins.
    pub fn start(&self, known: u64) {
        *self.reason.lock_unpoisoned() = None;
        self.noticed.store(false, Ordering::Relaxed);
        self.started.store(known, Ordering::Relaxed);
    }

    /// How many wishes to cancel there were.
    pub fn cancel_requests(&self) -> u64 {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Ends what runs now, at its next look.
    pub fn cancel(&self) {
        self.wanted.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends what runs now like [`Guard::cancel`], for this reason.
    pub fn end(&self, why: String) {
        *self.reason.lock_unpoisoned() = Some(why);
        self.cancel();
    }

    /// Why the work was ended, where nobody cancelled it.
    pub fn ended(&self) -> Option<String> {
        self.reason.lock_unpoisoned().clone()
    }

    /// What native work on lower floors asks.
    pub(crate) fn probe(self: &Arc<Self>) -> Probe {
        let guard = self.clone();
        Arc::new(move || guard.cancelled())
    }

    /// Says whether work is under way that keeps what it has when it is to end, however long a part of it takes: a training.
    pub fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// Whether what runs now knows that it is to end, so that it comes to its end by itself.
    pub fn has_noticed(&self) -> bool {
        self.noticed.load(Ordering::Relaxed) || self.held.load(Ordering::Relaxed)
    }

    /// Whether what runs now is to end.
    pub fn is_cancelled(&self) -> bool {
        self.cancel_requests() > self.started.load(Ordering::Relaxed)
    }

    /// Native work asks between its parts whether to go on.
    pub fn tick(&self) -> Result<()> {
        match self.verdict() {
            Some(why) => Err(Stopped(why).into()),
            None => Ok(()),
        }
    }

    /// One script operation; a text says why the script ends.
    pub(crate) fn count(&self) -> Option<String> {
        let weight = match stack::weigh() {
            Ok(weight) => weight,
            Err(why) => return Some(why),
        };
        let n = self.operations.fetch_add(weight, Ordering::Relaxed);
        if n >= OPERATIONS {
            return Some(format!("the script took {OPERATIONS} operations without an end; an endless loop?"));
        }
        if n / LOOK != (n + weight) / LOOK && available().is_some_and(|bytes| bytes < SPARE) {
            return Some("the script used up the machine's memory; keep fewer tensors".into());
        }
        self.verdict()
    }

    /// Why what runs now is to end, if it is.
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
            format!("out of memory: {} are held, and {} is the limit; keep fewer tensors", text(held), text(budget))
        })
    }

    /// Asks for a tensor of this shape before it is made; sizes beside a 0 count too, since strides are products of them.
    pub fn reserve(&self, shape: &[usize], bytes_each: usize) -> Result<()> {
        self.tick()?;
        let bytes = shape.iter().try_fold(bytes_each, |product, &n| product.checked_mul(n.max(1)));
        ensure!(
            bytes.is_some_and(|b| b <= TENSOR),
            "a tensor of {} numbers is too large; one may hold up to {}",
            crate::tensor::shape_text(shape),
            text(TENSOR)
        );
        memory::reserve_tensor(shape, bytes_each)
    }

    /// Asks for the values of all nodes of a run on `batch` pictures of these sizes, `[C, H, W]`.
    pub fn reserve_run(&self, graph: &Graph, batch: usize, picture: &[usize]) -> Result<()> {
        let bytes = graph.elements(picture).saturating_mul(batch).saturating_mul(4);
        self.reserve_bytes(bytes, || format!("the activations of {batch} pictures"))
    }

    /// Asks for those of a run that goes part by part, and tells how many pictures a part may have.
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
    fn a_run_of_more_pictures_than_memory_goes_in_parts() {
        // A quarter of the values that a part may have, for one picture.
        let mut builder = Builder::new(&[MAX_BATCH_ELEMENTS / 8]);
        let end = builder.add("relu", Relu, &[0]).unwrap();
        let graph = builder.finish(end).unwrap();
        let guard = Guard::default();
        let picture = [MAX_BATCH_ELEMENTS / 8];
        let part = guard.reserve_parts(&graph, &picture);
        let enough = budget() / (4 * graph.elements(&picture));
        match part {
            Err(error) => assert!(error.to_string().contains("no memory for the activations of 1 pictures"), "{error}"),
            Ok(part) => assert!((1..=enough.min(4)).contains(&part), "{part}"),
        }
        assert!(guard.reserve_run(&graph, enough + 1, &picture).is_err());
    }
}
