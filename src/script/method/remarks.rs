//! What a method says that it used in place of what its parameters say: a layer that it chose, a count that was too large.

use crate::script::sandbox::bounded_text::text;
use crate::sync::LockUnpoisoned;
use rhai::Dynamic;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Values by the parameters' names, as `--set` would take them.
#[derive(Debug, Default)]
pub struct UsedValues(Mutex<BTreeMap<String, String>>);

impl UsedValues {
    /// This was used for a parameter.
    pub(in crate::script) fn tell(&self, name: &str, text: String) {
        self.0.lock_unpoisoned().insert(name.into(), text);
    }

    /// All that was told.
    pub(in crate::script) fn take(&self) -> BTreeMap<String, String> {
        std::mem::take(&mut *self.0.lock_unpoisoned())
    }
}

/// What a method says of its answer besides figures.
#[derive(Clone, Debug, Default)]
pub struct Remarks {
    used: BTreeMap<String, String>,
    notes: Vec<String>,
    /// How many notes were passed on.
    passed: usize,
}

impl Remarks {
    /// What was used, of a run that is taken up.
    pub(in crate::script) fn of(used: BTreeMap<String, String>) -> Self {
        Self { used, ..Self::default() }
    }

    /// What one more call said.
    pub(in crate::script) fn add(&mut self, used: BTreeMap<String, String>, notes: Vec<String>) {
        self.used.extend(used);
        for note in notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    /// What was used in place of parameters' values, as `--set` would take it.
    pub fn used(&self) -> &BTreeMap<String, String> {
        &self.used
    }

    /// What a person should know of the answer.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The notes that were not passed on yet.
    pub(in crate::script) fn new_notes(&mut self) -> Vec<String> {
        let new = self.notes[self.passed..].to_vec();
        self.passed = self.notes.len();
        new
    }
}

/// A value as `--set` would take it; `unit` is how many of the parameter's are one of the script's.
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
