//! What the app and its worker tell each other: plain values, no tensors.
//!
//! Commands go down, updates come back. Every update that shows something carries the generation of the question it
//! answers, so that an answer to an older question is known as stale.

use crate::render::{Array, ClassRow};
use crate::script::summary::{Frame, MethodCard, MethodRow, ModelCard, ModelRow, Report};
use std::path::PathBuf;

/// What a person wants of the worker. The newest question wins: what is being computed is cancelled by any command that
/// [asks](Command::asks), and by [`Command::Cancel`].
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Open an architecture, with weights other than its card's if given.
    Model {
        /// Name of an architecture, or a weight file.
        name: String,
        /// Weight file.
        weights: Option<PathBuf>,
    },
    /// Open a picture: a file, or `made:shapes[3]`.
    Picture(String),
    /// Choose a method and run it (a stepper: start it and show step 0).
    Method(String),
    /// Set a parameter of the present method, as text; a one-shot method runs again, a stepper goes on from here.
    Set(String, String),
    /// Choose the target class; none: what the network says.
    Target(Option<usize>),
    /// Run the method again from its start.
    Restart,
    /// One step on: a kept one is shown, else computed.
    Step,
    /// One step back.
    Back,
    /// To this step, if it is kept.
    Seek(usize),
    /// Step until done or paused.
    Play,
    /// Stop stepping.
    Pause,
    /// Give up what is being computed, keep what is there.
    Cancel,
    /// Begin a branch: another run from the step shown, while the present one stays as it is.
    Fork,
    /// Open this branch, counted from 0, where it was left.
    Branch(usize),
    /// End the open branch.
    CloseBranch,
    /// Write the present figures into this folder; all on one sheet where it is a `.png`, and the steps as a film where it
    /// is a `.gif`.
    Save(PathBuf),
    /// Keep what is open as a session of this name.
    Keep(String),
    /// Tell what scripts can call; answered by [`Update::Reference`].
    Reference,
    /// Say where the script of this method is, to edit it; an embedded one is first written into the user's folder of
    /// plugins. Answered by [`Update::Script`].
    Edit(String),
    /// End.
    Quit,
}

impl Command {
    /// Whether it is a question: what is shown now is stale until its answer comes. The generation of a question is the
    /// number of questions sent so far, itself included; before the first one it is 0.
    pub fn asks(&self) -> bool {
        let silent = matches!(self, Self::Play | Self::Pause | Self::Cancel | Self::Edit(_) | Self::Quit);
        !silent && !matches!(self, Self::Save(_) | Self::Keep(_) | Self::Reference)
    }
}

/// What the worker has to say.
#[derive(Clone, Debug)]
pub enum Update {
    /// The methods there are, in order; sent at the start and when the folder changes.
    Methods(Vec<MethodRow>),
    /// The architectures there are.
    Models(Vec<ModelRow>),
    /// A model is open.
    Model(ModelCard),
    /// A picture is open.
    Picture {
        /// Its name.
        name: String,
        /// What it was asked for as: a file, or `made:shapes[3]`.
        source: String,
        /// `(C, H, W)` in `[0, 1]`, as the model sees it.
        pixels: Array,
        /// What the network says of it.
        classes: Vec<ClassRow>,
    },
    /// The present method and its parameters; sent when either changes.
    Method(MethodCard),
    /// The target is this class now; none: none was chosen, and the network's scores are not finite.
    Target(Option<usize>),
    /// How many branches there are, and which is open; what is told from now on is of that one.
    Branches {
        /// The open one, from 0.
        at: usize,
        /// How many.
        count: usize,
    },
    /// Figures to show.
    Frame(Frame),
    /// A long computation is under way.
    Progress {
        /// What is done.
        what: String,
        /// How much of it.
        done: usize,
        /// How much in all; 0 when unknown.
        total: usize,
    },
    /// The worker is computing (or no more).
    Busy(bool),
    /// A script was read again after a save.
    Reloaded {
        /// Its name.
        method: String,
        /// How long reading took.
        millis: f64,
    },
    /// The file of a method's script, as [`Command::Edit`] wanted to know.
    Script {
        /// The method's name.
        method: String,
        /// Its file.
        path: PathBuf,
    },
    /// What scripts can call: what it is, and what it gives or does.
    Reference(Vec<(String, String)>),
    /// Something went wrong; what was shown before still holds.
    Failed(Report),
    /// A line for the log.
    Log(String),
    /// A line for the log that the status line shows too.
    Said(String),
}
