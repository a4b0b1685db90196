//! Messages between the app and its worker, as plain values without tensors.
//!
//! Commands go to the worker, updates come back. Every frame carries the generation of its request, so that the app can tell when
//! a result is stale.

use crate::render::{Array, ClassRow};
use crate::script::summary::{Frame, MethodCard, MethodRow, ModelCard, ModelRow, Report};
use std::path::PathBuf;

/// A command for the worker. The newest request wins: any command that [asks](Command::asks) for a new result cancels the current
/// computation, and so does [`Command::Cancel`].
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Open an architecture, with its own weights or those given.
    Model {
        /// The name of an architecture, or a weight file.
        name: String,
        /// The weight file, if not the architecture's own.
        weights: Option<PathBuf>,
    },
    /// Open a picture: a file, or `made:shapes[3]`.
    Picture(String),
    /// Choose a method and run it; a stepped method shows step 0.
    Method(String),
    /// Set a parameter of the open method from a string. A one-shot method runs again, a stepped method continues from here.
    Set(String, String),
    /// Set the target class; `None` for the predicted class.
    Target(Option<usize>),
    /// Run the method again from its start.
    Restart,
    /// Go to the next step, which is computed unless it was kept.
    Step,
    /// Go back one step.
    Back,
    /// Go to this step, if it was kept.
    Seek(usize),
    /// Take steps until the end or a pause.
    Play,
    /// Stop taking steps.
    Pause,
    /// Cancel the current computation; results so far are kept.
    Cancel,
    /// Fork a branch: another run from the step shown, while the current one stays as it is.
    Fork,
    /// Open this branch, counted from 0, where it was left off.
    Branch(usize),
    /// Close the open branch.
    CloseBranch,
    /// Export the current figures into this folder; if the path ends in `.png`, as one contact sheet, and if in `.gif`, the steps as
    /// a film.
    Save(PathBuf),
    /// Save the session under this name.
    Keep(String),
    /// Request the functions that scripts can call; answered by [`Update::Reference`].
    Reference,
    /// Request the file of a method's script, for editing. An embedded script is first copied to the user's plugin folder. Answered by
    /// [`Update::Script`].
    Edit(String),
    /// Quit.
    Quit,
}

impl Command {
    /// Whether it requests a new result, so that what is shown is stale until the result arrives. The generation of a request is the
    /// number of requests sent so far, including itself; before the first one it is 0.
    pub fn asks(&self) -> bool {
        let silent = matches!(self, Self::Play | Self::Pause | Self::Cancel | Self::Edit(_) | Self::Quit);
        !silent && !matches!(self, Self::Save(_) | Self::Keep(_) | Self::Reference)
    }
}

/// A message from the worker.
#[derive(Clone, Debug)]
pub enum Update {
    /// All methods, in order; sent at the start and when a folder changes.
    Methods(Vec<MethodRow>),
    /// All architectures.
    Models(Vec<ModelRow>),
    /// A model was opened.
    Model(ModelCard),
    /// A picture was opened.
    Picture {
        /// Its name.
        name: String,
        /// How it was opened: a file, or `made:shapes[3]`.
        source: String,
        /// Its pixels as the model sees them, `(C, H, W)` in `[0, 1]`.
        pixels: Array,
        /// Its most likely classes.
        classes: Vec<ClassRow>,
    },
    /// The open method and its parameters; sent when either changes.
    Method(MethodCard),
    /// The current target class; `None` if none was chosen and there is no predicted class.
    Target(Option<usize>),
    /// The number of branches, and which one is open; later updates belong to that one.
    Branches {
        /// The open branch, from 0.
        at: usize,
        /// The number of branches.
        count: usize,
    },
    /// Figures to show.
    Frame(Frame),
    /// Progress of a long computation.
    Progress {
        /// What is being counted.
        what: String,
        /// How much is done.
        done: usize,
        /// The total; 0 if unknown.
        total: usize,
    },
    /// Whether the worker is computing.
    Busy(bool),
    /// A script was reloaded after it was saved.
    Reloaded {
        /// Its name.
        method: String,
        /// Time to reload it, in milliseconds.
        millis: f64,
    },
    /// The file of a method's script, in answer to [`Command::Edit`].
    Script {
        /// The method's name.
        method: String,
        /// Its file.
        path: PathBuf,
    },
    /// What scripts can call: pairs of a name and a description or signature.
    Reference(Vec<(String, String)>),
    /// An error; what was shown before is still valid.
    Failed(Report),
    /// A line for the log.
    Log(String),
    /// A line for the log and for the status line.
    Said(String),
}
