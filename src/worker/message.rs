//! Messages between the app and its worker, as plain values without tensors.
//!
//! Commands go to the worker, and updates come back. Every frame carries the number of the request that it answers, so that the
//! app can tell when a result is stale.

use crate::render::{Array, ClassRow, Figure};
use crate::script::session::Target;
use crate::script::summary::{Frame, MethodCard, MethodRow, ModelCard, ModelRow, Report};
use std::path::PathBuf;

/// A command for the worker. The newest request wins: any command that requests a new result (see [`Command::asks`]) cancels the
/// current computation, and so does [`Command::Cancel`].
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Open an architecture, with its own weights or with those in a file.
    Model {
        /// Name of an architecture, or path of a weight file.
        name: String,
        /// The weight file; `None` for the architecture's own weights.
        weights: Option<PathBuf>,
    },
    /// Load the weights in a file into the architecture that they match, which is the open one if they match several.
    Weights(PathBuf),
    /// Open a data set, such as `mnist:DIR`, `DIR` or `made:shapes`.
    Data(String),
    /// Open a picture, which is a file or a picture of a data set such as `made:shapes[3]`.
    Picture(String),
    /// Open the method with this name and run it; a stepped method shows step 0.
    Method(String),
    /// Set the parameter with this name from a string. A one-shot method runs again; a stepped method continues from the current
    /// step.
    Set(String, String),
    /// Set the target; `None` selects the predicted class.
    Target(Option<Target>),
    /// Set units of the network to zero, given as in `--ablate`, or restore them if they all are; `None` restores all units.
    Ablate(Option<String>),
    /// Run the method again from its start.
    Restart,
    /// Go to the next step, computing it unless it is stored.
    Step,
    /// Go back one step.
    Back,
    /// Go to the step with this index, or to the nearest stored step if its state was dropped.
    Seek(usize),
    /// Take steps until the run ends or is paused.
    Play,
    /// Stop taking steps.
    Pause,
    /// Cancel the current computation; the results obtained so far are kept.
    Cancel,
    /// Set the radius of the open attack to the smallest at which it fools the network.
    MinimalEpsilon,
    /// Undo the latest change of the method, a parameter, the target, the picture, the model or the units, or reopen a closed branch.
    Undo,
    /// Redo the change that was undone last.
    Redo,
    /// Fork a branch, in which the run continues independently from the current step; the branch that was open stays unchanged.
    Fork,
    /// Open the branch with this zero-based index, in the state in which it was left.
    Branch(usize),
    /// Close the open branch and open the previous branch or, if the first was open, the next.
    CloseBranch,
    /// Export the current figures into this folder. If the path ends in `.png`, they are exported as one contact sheet; if it
    /// ends in `.gif`, the steps of the run are exported as a film.
    Save(PathBuf),
    /// Run several methods for several classes, each to its end.
    Gallery {
        /// Names of the methods, the columns of the gallery.
        methods: Vec<String>,
        /// Indices of the classes, the rows of the gallery.
        classes: Vec<usize>,
    },
    /// Export the latest gallery: as one contact sheet if the path ends in `.png`, otherwise into this folder, with a folder for each result.
    SaveGallery(PathBuf),
    /// Save the session under this name.
    Keep(String),
    /// Request the list of functions that scripts can call; answered by [`Update::Reference`].
    Reference,
    /// Request the path of a method's script, for editing; answered by [`Update::Script`]. An embedded script is first copied to
    /// the user's plugin folder.
    Edit(String),
    /// The editor of a method's script was closed: an unchanged copy of an embedded script is removed.
    Edited(String),
    /// Replace the user's copy of an embedded script by the embedded script.
    Revert(String),
    /// Stop the worker.
    Quit,
}

impl Command {
    /// Whether the command requests a new result, which makes the displayed result stale until it arrives. Requests are numbered
    /// from 1; the current generation is the number of the latest request, or 0 before the first.
    pub fn asks(&self) -> bool {
        let silent = matches!(
            self,
            Self::Play | Self::Pause | Self::Cancel | Self::Edit(_) | Self::Edited(_) | Self::Revert(_) | Self::Quit
        );
        let gallery = matches!(self, Self::Gallery { .. } | Self::SaveGallery(_));
        !silent && !gallery && !matches!(self, Self::Save(_) | Self::Keep(_) | Self::Reference)
    }
}

/// A message from the worker.
#[derive(Clone, Debug)]
pub enum Update {
    /// All methods, in order; sent at the start and when a script folder changes.
    Methods(Vec<MethodRow>),
    /// All architectures, in order.
    Models(Vec<ModelRow>),
    /// Folders whose model files were opened recently, most recent first; sent at the start and when they change.
    RecentFolders(Vec<PathBuf>),
    /// A model has been opened.
    Model(ModelCard),
    /// A picture has been opened.
    Picture {
        /// Name of the picture.
        name: String,
        /// The name by which the picture was opened: a file, or a picture of a data set such as `made:shapes[3]`.
        source: String,
        /// Pixels of the picture after preprocessing, `(C, H, W)` in `[0, 1]`.
        pixels: Array,
        /// The most likely classes of the picture, most likely first.
        classes: Vec<ClassRow>,
    },
    /// The open method and its parameters; sent when the method or a parameter changes.
    Method(MethodCard),
    /// The current target; `None` if none was chosen and there is no predicted class.
    Target(Option<Target>),
    /// The units of the network that are set to zero, such as `features.12:channel=7`.
    Ablated(Vec<String>),
    /// The number of branches, and which branch is open; later updates belong to that branch.
    Branches {
        /// Index of the open branch, zero-based.
        at: usize,
        /// Number of branches.
        count: usize,
    },
    /// The result of a request, or a preview of the result, with the figures to show.
    Frame(Frame),
    /// The command that computes what is on the screen.
    CommandLine {
        /// The program's name and its arguments.
        words: Vec<String>,
        /// Whether the command computes exactly this result: false if, for example, parameters were changed between steps.
        repeats: bool,
    },
    /// A gallery has begun; its results follow.
    Gallery {
        /// Titles of the methods, the columns of the gallery.
        methods: Vec<String>,
        /// Names of the classes, the rows of the gallery.
        classes: Vec<String>,
    },
    /// A result of the gallery that began last, and its index, row by row.
    GalleryCell(usize, GalleryCell),
    /// Progress of a long computation.
    Progress {
        /// Name of a unit of work, such as `samples` or `steps`.
        what: String,
        /// Number of completed units.
        done: usize,
        /// Total number of units; 0 if unknown.
        total: usize,
    },
    /// Whether the worker is computing a result.
    Busy(bool),
    /// The open method has been reloaded after its script was saved.
    Reloaded {
        /// Name of the method.
        method: String,
        /// Time taken to reload the script, in milliseconds.
        millis: f64,
    },
    /// The file of a method's script, in answer to [`Command::Edit`].
    Script {
        /// Name of the method that the script defines.
        method: String,
        /// Path of the script.
        path: PathBuf,
    },
    /// The functions that scripts can call, as pairs of a name and a description or signature.
    Reference(Vec<(String, String)>),
    /// An error to show; results shown earlier remain valid.
    Failed(Report),
    /// A line of text for the log.
    Log(String),
    /// A line of text for both the log and the status line.
    Said(String),
}

/// A result of a gallery.
#[derive(Clone, Debug)]
pub enum GalleryCell {
    /// The figures of a method for a class.
    Figures(Vec<Figure>),
    /// Why the method failed.
    Failed(String),
}
