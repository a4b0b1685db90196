//! Notes for the user about a result, queued until the command line or the app shows them.

use crate::sync::LockUnpoisoned;
use crate::words;
use std::collections::HashSet;
use std::sync::Mutex;

static NOTES: Mutex<Option<Notes>> = Mutex::new(None);

#[derive(Default)]
struct Notes {
    waiting: Vec<String>,
    known: HashSet<String>,
}

/// Queues a line for the user, unless the same line has been queued before in this process.
pub fn add(line: String) {
    let line = words::line(&line).into_owned();
    with(|notes| {
        if notes.known.insert(line.clone()) {
            notes.waiting.push(line);
        }
    });
}

/// Empties the queue and returns its lines in the order in which they were added.
pub fn take() -> Vec<String> {
    with(|notes| std::mem::take(&mut notes.waiting))
}

fn with<T>(f: impl FnOnce(&mut Notes) -> T) -> T {
    f(NOTES.lock_unpoisoned().get_or_insert_default())
}
