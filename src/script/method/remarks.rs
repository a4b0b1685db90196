//! What a method reports besides figures: values used instead of its parameters' own, such as a lowered count, and notes.

use crate::script::sandbox::bounded_text::text;
use crate::sync::LockUnpoisoned;
use rhai::Dynamic;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Values used for parameters, by name, as written for `--set`.
#[derive(Debug, Default)]
pub struct UsedValues(Mutex<BTreeMap<String, String>>);

impl UsedValues {
    /// Records the value used for a parameter.
    pub(in crate::script) fn tell(&self, name: &str, text: String) {
        self.0.lock_unpoisoned().insert(name.into(), text);
    }

    /// Takes all recorded values.
    pub(in crate::script) fn take(&self) -> BTreeMap<String, String> {
        std::mem::take(&mut *self.0.lock_unpoisoned())
    }
}

/// What a method reports besides figures.
#[derive(Clone, Debug, Default)]
pub struct Remarks {
    used: BTreeMap<String, String>,
    notes: Vec<String>,
    /// The number of notes already passed on.
    passed: usize,
}

impl Remarks {
    /// The remarks of a resumed run.
    pub(in crate::script) fn of(used: BTreeMap<String, String>) -> Self {
        Self { used, ..Self::default() }
    }

    /// Adds the remarks of one more call; repeated notes are dropped.
    pub(in crate::script) fn add(&mut self, used: BTreeMap<String, String>, notes: Vec<String>) {
        self.used.extend(used);
        for note in notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    /// Values used instead of the parameters' own, as written for `--set`.
    pub fn used(&self) -> &BTreeMap<String, String> {
        &self.used
    }

    /// Notes for the user about the result.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The notes that have not been passed on yet.
    pub(in crate::script) fn new_notes(&mut self) -> Vec<String> {
        let new = self.notes[self.passed..].to_vec();
        self.passed = self.notes.len();
        new
    }
}

/// A value as written for `--set`; `unit` is the factor from the script's unit to the parameter's.
pub(in crate::script) fn written(value: &Dynamic, unit: f64) -> String {
    if let Some(many) = value.read_lock::<rhai::Array>() {
        return many.iter().map(|v| written(v, unit)).collect::<Vec<_>>().join(" ");
    }
    match value.as_float() {
        Ok(v) => (v * unit).to_string(),
        Err(_) if value.is_unit() => String::new(),
        Err(_) => text(value),
    }
}
