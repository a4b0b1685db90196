//! What the app and its worker tell each other: plain values, no tensors.
//!
//! Commands go down, updates come back. Every update that shows something carries the generation of the question it
//! answers, so that an answer to an older question is known as stale.

use crate::render::{Array, ClassRow, Figure};
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

/// One method of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodRow {
    /// Its file name without `.rhai`.
    pub name: String,
    /// Its group: `attribution`, `attack`, …
    pub group: String,
    /// First line of its doc.
    pub summary: String,
    /// The file, when it is not the embedded one.
    pub path: Option<PathBuf>,
    /// Line of the error that keeps it, or its newest version, from loading.
    pub broken: Option<usize>,
}

/// One architecture of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRow {
    /// Its name.
    pub name: String,
    /// First line of its doc.
    pub summary: String,
    /// Whether the binary carries weights for it.
    pub weights: bool,
}

/// An open model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// Its name.
    pub name: String,
    /// Where it computes: `cpu`.
    pub device: String,
    /// Its layers in order.
    pub layers: Vec<LayerRow>,
    /// Names of its classes, by index.
    pub labels: Vec<String>,
    /// Numbers in all its parameters.
    pub parameters: usize,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerRow {
    /// Its name: `features.3.squeeze`.
    pub name: String,
    /// Its kind: `conv`.
    pub kind: String,
    /// Shape of its value for one picture, without the batch.
    pub shape: Vec<usize>,
    /// Numbers in its parameters.
    pub parameters: usize,
}

/// The present method.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodCard {
    /// Its name.
    pub name: String,
    /// All of its `//!` doc.
    pub doc: String,
    /// Whether it has steps.
    pub stepped: bool,
    /// Its parameters in the order declared.
    pub params: Vec<ParamRow>,
}

/// One parameter with its present value.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamRow {
    /// Its name.
    pub name: String,
    /// What it does.
    pub doc: String,
    /// What it may be.
    pub kind: ParamKind,
    /// Its present value, as `--set` would take it.
    pub value: String,
    /// Its default, likewise.
    pub default: String,
}

/// What a parameter may be.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamKind {
    /// A real number within bounds.
    Number(f64, f64),
    /// A whole number within bounds.
    Integer(i64, i64),
    /// A length in pixel units of 1/255, within bounds.
    Pixels(f64, f64),
    /// Yes or no.
    Switch,
    /// One of these.
    Choice(Vec<String>),
    /// A class of the model; empty: none.
    Class,
    /// A layer of the model, of one of these kinds (any when empty).
    Layer(Vec<String>),
    /// A channel of a layer; empty: none.
    Channel,
    /// Any text.
    Text,
    /// Numbers from a `.npy` file.
    Array,
    /// Picture files.
    Pictures,
}

/// What one step (or one run) shows.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Which question it answers: the number of questions ([`Command::asks`]) that the worker had got by then.
    pub generation: u64,
    /// Its number; 0 for the start of a stepper and for one-shot methods.
    pub step: usize,
    /// How many steps are kept, this one included.
    pub kept: usize,
    /// Of the older steps every one of so many can be shown; 1: all.
    pub stride: usize,
    /// Why it is over, if it is.
    pub done: Option<String>,
    /// What to show, in order.
    pub figures: Vec<Figure>,
    /// The data set that it may be about, as one of its pictures is opened: this, and a number in brackets.
    pub data: Option<String>,
    /// Numbers of every kept step for curves: name, and one value a step.
    pub scalars: Vec<(String, Vec<f64>)>,
    /// How long it took to compute.
    pub millis: f64,
    /// Whether more is to come of the same computation (`cx.show`).
    pub partial: bool,
    /// What a person should know of it, each told once.
    pub notes: Vec<String>,
    /// What was used in place of parameters' values: name and value, as `--set` would take it.
    pub used: Vec<(String, String)>,
}

/// An error as a person reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What went wrong, in one sentence.
    pub message: String,
    /// The script, its line and column, both from 1.
    pub place: Option<(String, usize, usize)>,
    /// Lines around the place with their numbers.
    pub excerpt: Vec<(usize, String)>,
    /// What would have worked, if known.
    pub advice: Option<String>,
}
