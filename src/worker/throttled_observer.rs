//! Passes previews and progress of a running method on to the app, at a limited rate.

use super::message::Update;
use crate::render::Figure;
use crate::script::method::context::Observer;
use crate::script::summary::Frame;
use crate::sync::LockUnpoisoned;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Minimum interval between two updates of the same kind.
const PAUSE: Duration = Duration::from_millis(50);

/// An observer that passes figures and progress on to the app at a limited rate, and drops the rest.
pub(super) struct ThrottledObserver {
    updates: Sender<Update>,
    generation: Arc<AtomicU64>,
    last: Mutex<[Option<Instant>; 2]>,
}

impl ThrottledObserver {
    /// Creates an observer that sends to `updates`, tagging each frame with the current value of `generation`.
    pub(super) fn new(updates: Sender<Update>, generation: Arc<AtomicU64>) -> Self {
        Self { updates, generation, last: Mutex::default() }
    }

    /// Whether the minimum interval since the last update of the given kind has passed.
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
