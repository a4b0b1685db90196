//! The state of the app: everything needed to draw the screen, independent of the terminal.

mod branches;
mod error_pane;
mod file_browser;
mod fuzzy;
mod gallery;
mod help;
mod layer_tree;
mod lens;
mod list_cursor;
mod log;
mod method_list;
mod pane;
mod picker;
mod popup;
mod prompt;
mod shown_run;
mod tutor;
mod scatter_view;
mod view;

pub use branches::{BranchSettings, Branches, ShownBranch};
pub use error_pane::{ErrorPane, headline};
pub use file_browser::FileBrowser;
pub use fuzzy::Fuzzy;
pub use gallery::{Gallery, ShownGallery, toggle};
pub use help::Help;
pub use layer_tree::{LayerTree, TreeRow, shape, short};
pub use lens::Lens;
pub use list_cursor::ListCursor;
pub use log::{LogLine, Tone};
pub use method_list::{MethodList, MethodListRow, RECENT, Took};
pub use pane::Pane;
pub use picker::{Choice, Item, Picker};
pub use popup::Popup;
pub use prompt::Prompt;
pub use scatter_view::ScatterView;
pub use shown_run::{OpenPicture, Progress, REST, Rest, SETTLING, ShownRun, class_rows};
pub use tutor::{LESSONS, Lesson, Tutor};
pub use view::{View, ViewKey, Visible, VisibleFigure};

use crate::render::ClassRow;
use crate::script::session::Target;
use crate::script::summary::{
    LayerRow, MethodCard, MethodRow, ModelCard, ModelRow, ModuleRow, ParamKind, ParamRow, modules,
};
use crate::tui::keymap::{Action, Bindings};
use crate::tui::palette::Palette;
use crate::words;
use image::RgbImage;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The state of the app, from which the screen is drawn.
#[derive(Debug, Default)]
pub struct State {
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Time since the app started.
    pub now: Duration,
    /// The focused panel.
    pub focus: Pane,
    /// The list panel shown on the left of a terminal with room for only one list.
    pub left: Pane,
    /// Whether the focused panel fills the screen.
    pub zoomed: bool,
    /// The open pop-up.
    pub popup: Option<Popup>,
    /// The cursor of each panel's list.
    pub cursors: BTreeMap<Pane, ListCursor>,
    /// All methods.
    pub methods: Vec<MethodRow>,
    /// The folded groups of the list of methods, and the recently used methods.
    pub method_list: MethodList,
    /// The text that filters the list of methods.
    pub method_filter: String,
    /// The method or layer on which the cursor rests, and when to use it.
    pub resting: Option<(Rest, Duration)>,
    /// All architectures.
    pub models: Vec<ModelRow>,
    /// Folders with recently opened model files, most recent first.
    pub recent_folders: Vec<PathBuf>,
    /// The folder in which the file browser was last; `None` before it was opened.
    pub folder: Option<PathBuf>,
    /// The open model.
    pub model: Option<ModelCard>,
    /// The layers of the open model.
    pub layers: LayerTree,
    /// The text that filters the list of layers.
    pub layer_filter: String,
    /// The open picture.
    pub picture: Option<OpenPicture>,
    /// The current method.
    pub method: Option<MethodCard>,
    /// Parameter values set in the app but not yet confirmed by the worker.
    pub edits: BTreeMap<String, String>,
    /// The target, if there is one.
    pub target: Option<Target>,
    /// The units of the network that are set to zero, such as `features.12:channel=7`.
    pub ablated: Vec<String>,
    /// The results of the method so far.
    pub run: ShownRun,
    /// The command that computes what is on the screen, and whether it gives exactly this result.
    pub command_line: (Vec<String>, bool),
    /// The user's key bindings.
    pub bindings: Bindings,
    /// The branches of the current run.
    pub branches: Branches,
    /// The view selected by the user.
    pub view: View,
    /// What is marked for the gallery, and the open gallery.
    pub gallery: Gallery,
    /// The figures shown in the current view.
    pub visible: Visible,
    /// Index of the visible group of curves.
    pub curve: usize,
    /// How pictures are shown: colors, scale, zoom and mark.
    pub lens: Lens,
    /// The lasso drawn around points, as fractions of the plot's width and height.
    pub lasso: Vec<(f32, f32)>,
    /// The data set most recently opened to show thumbnails of points.
    pub near: Option<String>,
    /// The pictures of the points under the mark: name and, once loaded, thumbnail.
    pub pointed: Vec<(String, Option<Arc<RgbImage>>)>,
    /// Number of requests for new results sent to the worker so far.
    pub asked: u64,
    /// When the worker started computing; `None` if it is idle.
    pub busy: Option<Duration>,
    /// Progress of a long computation, if any.
    pub progress: Option<Progress>,
    /// The error shown in the error pane.
    pub fault: Option<ErrorPane>,
    /// Lines of the log, oldest first.
    pub log: Vec<LogLine>,
    /// Number of lines of the log that the user has seen.
    pub read: usize,
    /// The message in the status line, and when it disappears.
    pub toast: Option<(String, Duration)>,
    /// The tutorial, if it is open.
    pub tutor: Option<Tutor>,
    /// An action chosen in the palette, which is performed after the palette has closed.
    pub pending: Option<Action>,
    /// The latest choices in the palette, latest first.
    pub chosen: Vec<String>,
    /// The text searched for last in a list, and the panel of the list.
    pub search: Option<(Pane, String)>,
    /// The command history, latest last.
    pub lines: Vec<String>,
    /// Signatures and descriptions of script functions; empty until requested.
    pub reference: Vec<(String, String)>,
    /// Number of bytes written to the terminal in the last second.
    pub rate: usize,
    /// The colors of the app.
    pub palette: Palette,
    /// Name of the picture driver.
    pub graphics: String,
    /// Whether the user has pressed the quit key once during playback or a computation.
    pub leaving: bool,
    /// The method whose script failed when it last ran, the line, and the error; `None` after the next good result.
    pub broke: Option<(String, usize, String)>,
}

/// The terminal size in columns and rows from which the left column is always shown.
pub const WIDE: (u16, u16) = (100, 26);

/// Maximum number of lines in the log.
const LOG_LINES: usize = 500;

/// Data rate in bytes per second below which the connection to the terminal is considered idle.
pub const RATE: usize = 2048;

/// Display duration of messages in the status line.
const TOAST: Duration = Duration::from_secs(4);

impl State {
    /// The initial state in a terminal with this many columns and rows.
    pub fn new(columns: u16, rows: u16) -> Self {
        let focus = if columns < WIDE.0 || rows < WIDE.1 { Pane::FIGURES } else { Pane::METHODS };
        Self { size: (columns, rows), focus, ..Self::default() }
    }

    /// The cursor of a panel's list.
    pub fn cursor(&self, pane: Pane) -> ListCursor {
        self.cursors.get(&pane).copied().unwrap_or_default()
    }

    /// The cursor of a panel's list, mutably.
    pub fn cursor_mut(&mut self, pane: Pane) -> &mut ListCursor {
        self.cursors.entry(pane).or_default()
    }

    /// The method under the cursor, if any.
    pub fn method_under_cursor(&self) -> Option<&MethodRow> {
        match self.method_rows().get(self.cursor(Pane::METHODS).cursor)? {
            MethodListRow::Method(row) => Some(row),
            MethodListRow::Group { .. } => None,
        }
    }

    /// The parameter under the cursor, if any.
    pub fn param_under_cursor(&self) -> Option<&ParamRow> {
        self.params().get(self.cursor(Pane::PARAMETERS).cursor)
    }

    /// Maximizes the focused panel, or shows all panels again.
    pub fn toggle_zoom(&mut self) {
        self.zoomed = !self.zoomed;
    }

    /// Appends a line to the log.
    pub fn note(&mut self, tone: Tone, text: impl Into<String>) {
        self.log.push(LogLine { at: self.now, tone, text: text.into() });
        let surplus = self.log.len().saturating_sub(LOG_LINES);
        self.log.drain(..surplus);
        self.read = self.read.saturating_sub(surplus);
    }

    /// Shows a message in the status line for a few seconds.
    pub fn say(&mut self, text: impl Into<String>) {
        self.toast = Some((text.into(), self.now + TOAST));
    }

    /// The methods that match the filter.
    pub fn listed(&self) -> Vec<&MethodRow> {
        let text = self.method_filter.to_lowercase();
        let hit = |m: &&MethodRow| {
            m.name.contains(&text) || m.group.contains(&text) || m.summary.to_lowercase().contains(&text)
        };
        self.methods.iter().filter(hit).collect()
    }

    /// Index of the best match among the listed methods: a name that equals the filter, otherwise one that starts with it,
    /// otherwise one that contains it.
    pub fn best_listed(&self) -> usize {
        let text = self.method_filter.to_lowercase();
        let fit = |name: &str| (name == text, name.starts_with(&text), name.contains(&text));
        let best = self.listed().iter().enumerate().rev().max_by_key(|(_, m)| fit(&m.name)).map(|(row, _)| row);
        best.unwrap_or_default()
    }

    /// The row of the current method in the list of methods.
    pub fn method_row(&self) -> Option<&MethodRow> {
        let name = &self.method.as_ref()?.name;
        self.methods.iter().find(|m| m.name == *name)
    }

    /// The value of a parameter: the unconfirmed value set in the app, if any, otherwise the one last reported by the worker.
    pub fn value<'a>(&'a self, param: &'a ParamRow) -> &'a str {
        self.edits.get(&param.name).unwrap_or(&param.value)
    }

    /// The parameters of the current method.
    pub fn params(&self) -> &[ParamRow] {
        self.method.as_ref().map_or(&[], |m| &m.params)
    }

    /// The layer parameter of the current method, if any, and the kinds of layers that it accepts.
    pub fn layer_param(&self) -> Option<(&ParamRow, &[String])> {
        self.params().iter().find_map(|p| match &p.kind {
            ParamKind::Layer(kinds) => Some((p, kinds.as_slice())),
            _ => None,
        })
    }

    /// Name of the layer used by the method. A negative index counts from the end of the layers that the method accepts.
    pub fn layer(&self) -> Option<String> {
        let (param, kinds) = self.layer_param()?;
        let value = self.value(param);
        let Ok(index) = value.parse::<i64>() else { return Some(value.to_owned()) };
        let names = self.layers_of(kinds);
        let at = if index < 0 { names.len() as i64 + index } else { index };
        names.get(usize::try_from(at).ok()?).cloned()
    }

    /// Names of layers of certain kinds, or of all layers if `kinds` is empty.
    pub fn layers_of(&self, kinds: &[String]) -> Vec<String> {
        self.model_layers().iter().filter(|l| fits(kinds, &l.kind)).map(|l| l.name.clone()).collect()
    }

    /// The layers of the open model.
    pub fn model_layers(&self) -> &[LayerRow] {
        self.model.as_ref().map_or(&[], |m| &m.layers)
    }

    /// The modules whose output is a layer of one of these kinds, such as `layer4.1`.
    pub fn modules_of(&self, kinds: &[String]) -> Vec<ModuleRow> {
        modules(self.model_layers()).into_iter().filter(|module| fits(kinds, &module.kind)).collect()
    }

    /// The layer with this name, or the output layer of the module with this name, if any.
    pub fn output_of(&self, name: &str) -> Option<&LayerRow> {
        let layers = self.model_layers();
        let inside = |layer: &&LayerRow| layer.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        layers.iter().find(|layer| layer.name == name).or_else(|| layers.iter().rfind(inside))
    }

    /// The possible values of a layer parameter: layers of the accepted kinds, preceded by `all` if that is the default.
    pub fn values_of(&self, param: &ParamRow, kinds: &[String]) -> Vec<String> {
        let all = (param.default == "all").then(|| "all".to_owned());
        all.into_iter().chain(self.layers_of(kinds)).collect()
    }

    /// Name of a class, or its index if it has no name.
    pub fn label(&self, class: usize) -> String {
        let labels = self.model.as_ref().map_or(&[][..], |m| &m.labels);
        labels.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// The target class; `None` if there is no target or it is an expression.
    pub fn target_class(&self) -> Option<usize> {
        match self.target {
            Some(Target::Class(class)) => Some(class),
            _ => None,
        }
    }

    /// Name of the target class, or the target expression; `None` if there is no target.
    pub fn target_label(&self) -> Option<String> {
        self.target.as_ref().map(|target| match target {
            Target::Class(class) => self.label(*class),
            Target::Expression(text) => words::name(text).into_owned(),
        })
    }

    /// The class probabilities of the current step, or those of the open picture if the current step has none.
    pub fn classes(&self) -> &[ClassRow] {
        let of_frame = self.run.frame.as_ref().and_then(|f| class_rows(&f.figures));
        let of_picture = || self.picture.as_ref().map_or(&[][..], |p| &p.classes);
        of_frame.filter(|_| !self.run.foreign).unwrap_or_else(of_picture)
    }

    /// The change in a class's probability since the previous step; `None` if the previous probability is unknown.
    pub fn change(&self, row: &ClassRow) -> Option<f32> {
        let step = self.run.frame.as_ref().filter(|_| !self.run.foreign)?.step;
        let before = self.run.history.get(&step.checked_sub(1)?)?;
        before.iter().find(|r| r.class == row.class).map(|r| row.probability - r.probability)
    }

    /// Whether the figures on screen are older than the latest command.
    pub fn stale(&self) -> bool {
        self.run.foreign || self.run.frame.as_ref().is_some_and(|f| f.generation < self.asked)
    }

    /// Whether the current method runs in steps.
    pub fn stepped(&self) -> bool {
        self.method.as_ref().is_some_and(|m| m.stepped)
    }

    /// Whether the steps of the current method refine one result, so that they are computed at once. Attacks and training wait, because
    /// each of their steps is of interest.
    pub fn settles(&self) -> bool {
        const WAITING: [&str; 4] = ["attack", "robustness", "defense", "training"];
        self.stepped() && self.method_row().is_some_and(|method| !WAITING.contains(&method.group.as_str()))
    }

    /// Time since app start at which the screen next changes without an event; `None` if it does not change.
    pub fn due(&self) -> Option<Duration> {
        let spin = self.busy.map(|_| self.now + Duration::from_millis(250));
        let rest = self.resting.as_ref().map(|(_, at)| *at);
        let toast = self.toast.as_ref().map(|(_, at)| *at);
        let settling = self.run.settling.filter(|_| self.run.playing);
        // The data rate is shown until the connection has been idle for a while.
        let rate = (self.rate >= RATE).then(|| self.now + Duration::from_millis(1050));
        [spin, rest, toast, rate, settling].into_iter().flatten().min()
    }
}

/// Whether a list of layer kinds accepts `kind`. An empty list accepts every kind.
fn fits(kinds: &[String], kind: &String) -> bool {
    kinds.is_empty() || kinds.contains(kind)
}
