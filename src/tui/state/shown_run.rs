//! What the worker has sent: the picture, the method's frames, its progress.

use crate::render::{Array, Body, ClassRow, Figure};
use crate::script::summary::Frame;
use std::collections::BTreeMap;
use std::time::Duration;

/// The open picture.
#[derive(Clone, Debug)]
pub struct OpenPicture {
    /// Its name.
    pub name: String,
    /// What it was opened as.
    pub source: String,
    /// `(C, H, W)` in `[0, 1]`.
    pub pixels: Array,
    /// The model's class probabilities for it.
    pub classes: Vec<ClassRow>,
    /// A number unique among pictures and frames of this session.
    pub id: u64,
}

/// What the method has shown so far.
#[derive(Debug, Default)]
pub struct ShownRun {
    /// The latest frame.
    pub frame: Option<Frame>,
    /// A number unique among pictures and frames of this session.
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
    /// Units in all; 0 if unknown.
    pub total: usize,
}

/// How long the cursor rests on a method or layer before it runs.
pub const REST: Duration = Duration::from_millis(180);

/// What runs once the cursor has rested on it.
#[derive(Clone, Debug, PartialEq)]
pub enum Rest {
    /// The method of this name.
    Method(String),
    /// The layer of this name.
    Layer(String),
}

/// The class probabilities among some figures.
pub fn class_rows(figures: &[Figure]) -> Option<&[ClassRow]> {
    figures.iter().find_map(|f| match &f.body {
        Body::Classes { rows, .. } => Some(rows.as_slice()),
        _ => None,
    })
}
