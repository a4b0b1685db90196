//! What a method reports besides figures: notes, and effective values of its parameters, such as a capped count.

use crate::script::sandbox::bounded_text::text;
use crate::sync::LockUnpoisoned;
use rhai::Dynamic;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The effective values of parameters, as reported by a method, by parameter name, in `--set` syntax.
#[derive(Debug, Default)]
pub struct UsedValues(Mutex<BTreeMap<String, String>>);

impl UsedValues {
    /// Records the effective value of the parameter `name`.
    pub(in crate::script) fn tell(&self, name: &str, text: String) {
        self.0.lock_unpoisoned().insert(name.into(), text);
    }

    /// Removes and returns all recorded values.
    pub(in crate::script) fn take(&self) -> BTreeMap<String, String> {
        std::mem::take(&mut *self.0.lock_unpoisoned())
    }
}

/// The notes of a run, and the effective values of the parameters that the method reported.
#[derive(Clone, Debug, Default)]
pub struct Remarks {
    used: BTreeMap<String, String>,
    notes: Vec<String>,
    /// The number of notes already returned by [`Remarks::new_notes`].
    passed: usize,
}

impl Remarks {
    /// The remarks of a resumed run: the effective values reported so far, without notes.
    pub(in crate::script) fn of(used: BTreeMap<String, String>) -> Self {
        Self { used, ..Self::default() }
    }

    /// Adds the remarks of another call to one of the method's functions, dropping duplicate notes.
    pub(in crate::script) fn add(&mut self, used: BTreeMap<String, String>, notes: Vec<String>) {
        self.used.extend(used);
        for note in notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    /// The effective values that the method reported, by parameter name, in `--set` syntax.
    pub fn used(&self) -> &BTreeMap<String, String> {
        &self.used
    }

    /// All notes to the user about the run's result.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns notes that have not been returned before.
    pub(in crate::script) fn new_notes(&mut self) -> Vec<String> {
        let new = self.notes[self.passed..].to_vec();
        self.passed = self.notes.len();
        new
    }
}

/// Converts a script's value to `--set` syntax. Floats are multiplied by `unit`, the conversion factor from the script's unit to
/// the parameter's.
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
