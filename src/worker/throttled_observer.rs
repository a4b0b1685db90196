//! Who watches a method that shows figures before its end: the app.

use super::message::Update;
use crate::render::Figure;
use crate::script::method::context::Observer;
use crate::script::summary::Frame;
use crate::sync::LockUnpoisoned;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Unasked-for updates (figures under way, progress) are at least so far apart.
const PAUSE: Duration = Duration::from_millis(50);

/// Passes figures and progress on, but not more often than they can be seen.
pub(super) struct ThrottledObserver {
    updates: Sender<Update>,
    generation: Arc<AtomicU64>,
    last: Mutex<[Option<Instant>; 2]>,
}

impl ThrottledObserver {
    /// Updates go to `updates`, as answers of the question numbered by `generation`.
    pub(super) fn new(updates: Sender<Update>, generation: Arc<AtomicU64>) -> Self {
        Self { updates, generation, last: Mutex::default() }
    }

    /// Whether enough time went by since the last update of this kind.
    fn may(&self, kind: usize) -> bool {
        let mut last = self.last.lock_unpoisoned();
        let due = last[kind].is_none_or(|at| at.elapsed() >= PAUSE);
        if due {
            last[kind] = Some(Instant::now());
        }
        due
    }
}

impl Observer for ThrottledObserver {
    fn show(&self, figures: Vec<Figure>) {
        if self.may(0) {
            let generation = self.generation.load(Ordering::Relaxed);
            let frame = Frame {
                generation,
                step: 0,
                kept: 1,
                stride: 1,
                done: None,
                figures,
                data: None,
                scalars: vec![],
                millis: 0.0,
                partial: true,
                notes: vec![],
                used: vec![],
            };
            let _ = self.updates.send(Update::Frame(frame));
        }
    }

    fn progress(&self, what: &str, done: usize, total: usize) {
        if done == total || self.may(1) {
            let _ = self.updates.send(Update::Progress { what: what.into(), done, total });
        }
    }
}
