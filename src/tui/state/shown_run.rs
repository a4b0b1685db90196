//! Results received from the worker: the picture, the method's frames, its progress.

use crate::render::{Array, Body, ClassRow, Figure};
use crate::script::summary::Frame;
use std::collections::BTreeMap;
use std::time::Duration;

/// The open picture.
#[derive(Clone, Debug)]
pub struct OpenPicture {
    /// The name.
    pub name: String,
    /// The argument that it was opened by: a file, or `made:shapes[3]`.
    pub source: String,
    /// `(C, H, W)` in `[0, 1]`.
    pub pixels: Array,
    /// The model's class probabilities for it.
    pub classes: Vec<ClassRow>,
    /// An id, unique among the pictures and frames of this session.
    pub id: u64,
}

/// The results of the method so far.
#[derive(Debug, Default)]
pub struct ShownRun {
    /// The latest frame.
    pub frame: Option<Frame>,
    /// An id, unique among the pictures and frames of this session.
    pub id: u64,
    /// The class probabilities of each step.
    pub history: BTreeMap<usize, Vec<ClassRow>>,
    /// Whether the steps are playing.
    pub playing: bool,
    /// Whether the frame belongs to another method, model or picture than the current one.
    pub foreign: bool,
}

/// Progress of a long computation.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The unit of the work.
    pub what: String,
    /// Units done.
    pub done: usize,
    /// Total units; 0 if unknown.
    pub total: usize,
}

/// How long the cursor must rest on a method or layer before it runs.
pub const REST: Duration = Duration::from_millis(180);

/// A method or layer that runs once the cursor has rested on it.
#[derive(Clone, Debug, PartialEq)]
pub enum Rest {
    /// The method of this name.
    Method(String),
    /// The layer of this name.
    Layer(String),
}

/// The class probabilities in these figures, if any shows them.
pub fn class_rows(figures: &[Figure]) -> Option<&[ClassRow]> {
    figures.iter().find_map(|f| match &f.body {
        Body::Classes { rows, .. } => Some(rows.as_slice()),
        _ => None,
    })
}
