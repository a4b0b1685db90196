//! Results received from the worker: the picture, the method's frames, and progress.

use crate::render::{Array, Body, ClassRow, Figure};
use crate::script::summary::Frame;
use std::collections::BTreeMap;
use std::time::Duration;

/// The open picture.
#[derive(Clone, Debug)]
pub struct OpenPicture {
    /// Name of the picture.
    pub name: String,
    /// The argument from which the picture was opened, such as a file name or `made:shapes[3]`.
    pub source: String,
    /// Pixels of shape `(C, H, W)` in `[0, 1]`.
    pub pixels: Array,
    /// The model's class probabilities for the picture.
    pub classes: Vec<ClassRow>,
    /// ID of the picture, unique among the pictures and frames of this session.
    pub id: u64,
}

/// The results of the current method so far.
#[derive(Debug, Default)]
pub struct ShownRun {
    /// The latest frame; `None` before the first result.
    pub frame: Option<Frame>,
    /// ID of the frame, unique among the pictures and frames of this session.
    pub id: u64,
    /// Class probabilities by step.
    pub history: BTreeMap<usize, Vec<ClassRow>>,
    /// Whether the steps of the method are playing.
    pub playing: bool,
    /// When to pause steps that are playing because the method settles; `None` if the user plays them.
    pub settling: Option<Duration>,
    /// Whether the frame's method, model or picture is no longer current.
    pub foreign: bool,
}

/// Progress of a long computation.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Name of a unit of work, such as `step`.
    pub what: String,
    /// Number of completed units.
    pub done: usize,
    /// Total number of units; 0 if unknown.
    pub total: usize,
}

/// How long the steps of a method that settles are played before they are paused.
pub const SETTLING: Duration = Duration::from_secs(10);

/// How long the cursor must rest on a method or layer before it is used.
pub const REST: Duration = Duration::from_millis(180);

/// A method or layer to use once the cursor has rested on it.
#[derive(Clone, Debug, PartialEq)]
pub enum Rest {
    /// The method with this name.
    Method(String),
    /// The layer with this name.
    Layer(String),
}

/// The class probabilities in the first of `figures` that has any.
pub fn class_rows(figures: &[Figure]) -> Option<&[ClassRow]> {
    figures.iter().find_map(|f| match &f.body {
        Body::Classes { rows, .. } => Some(rows.as_slice()),
        _ => None,
    })
}
