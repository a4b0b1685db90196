//! What a person should know beside a result: lines that wait until the command line or the app shows them.

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

/// Adds a line; the same one only once while the program runs.
pub fn add(line: String) {
    let line = words::line(&line).into_owned();
    with(|notes| {
        if notes.known.insert(line.clone()) {
            notes.waiting.push(line);
        }
    });
}

/// The lines since the last call, in order.
pub fn take() -> Vec<String> {
    with(|notes| std::mem::take(&mut notes.waiting))
}

fn with<T>(f: impl FnOnce(&mut Notes) -> T) -> T {
    f(NOTES.lock_unpoisoned().get_or_insert_default())
}
