//! The state of the app: all that is known, nothing of the terminal.

use super::bindings::Bindings;
use super::branches::Branches;
use super::keymap::Context;
use super::lens::Lens;
use super::list::List;
use super::look::Look;
use super::picker::Picker;
use super::prompt::Prompt;
use super::tree::Tree;
use crate::render::{Array, Body, ClassRow, Figure};
use crate::script::message::{Frame, MethodCard, MethodRow, ModelCard, ModelRow, ParamKind, ParamRow, Report};
use image::RgbImage;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything that a screen is drawn from.
#[derive(Debug, Default)]
pub struct State {
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Time since the start.
    pub now: Duration,
    /// The pane that keys go to.
    pub focus: Pane,
    /// Which of the lists is seen where there is room for one only.
    pub left: Pane,
    /// Whether the pane that keys go to fills the screen.
    pub zoomed: bool,
    /// What is open over the panes.
    pub popup: Option<Popup>,
    /// The methods there are.
    pub methods: Vec<MethodRow>,
    /// Cursor among them.
    pub method_list: List,
    /// What the list of methods is narrowed to.
    pub method_filter: String,
    /// A method that is run when the cursor has rested on it until then.
    pub resting: Option<(Rest, Duration)>,
    /// The architectures there are.
    pub models: Vec<ModelRow>,
    /// The open model.
    pub model: Option<ModelCard>,
    /// Its layers.
    pub layers: Tree,
    /// Cursor among them.
    pub layer_list: List,
    /// What the layers are narrowed to.
    pub layer_filter: String,
    /// The open picture.
    pub picture: Option<Picture>,
    /// The present method.
    pub method: Option<MethodCard>,
    /// Cursor among its parameters.
    pub param_list: List,
    /// Values that were set here and that no answer has confirmed yet.
    pub edits: BTreeMap<String, String>,
    /// The target class.
    pub target: Option<usize>,
    /// Cursor among the classes.
    pub class_list: List,
    /// What the method has shown so far.
    pub run: Run,
    /// The keys there are.
    pub bindings: Bindings,
    /// The branches there are.
    pub branches: Branches,
    /// Which view of the figures is wanted.
    pub look: Look,
    /// Which curves are shown.
    pub curve: usize,
    /// How pictures are looked at.
    pub lens: Lens,
    /// A line drawn round points, by places as the lens has them.
    pub lasso: Vec<(f32, f32)>,
    /// The data set that pictures of points were last read of.
    pub near: Option<String>,
    /// Pictures of the points that are pointed at: what each is opened as, and itself, small, once it was read.
    pub pointed: Vec<(String, Option<Arc<RgbImage>>)>,
    /// How many questions were asked.
    pub asked: u64,
    /// Whether the worker is computing, and since when.
    pub busy: Option<Duration>,
    /// What a long computation has done.
    pub progress: Option<Progress>,
    /// An error that nobody has closed yet.
    pub fault: Option<Fault>,
    /// Lines of the log, oldest first.
    pub log: Vec<LogLine>,
    /// How far the log is scrolled back.
    pub log_back: usize,
    /// A word for the status line, and how long it stays there.
    pub toast: Option<(String, Duration)>,
    /// Commands that were typed, the latest last.
    pub lines: Vec<String>,
    /// What scripts can call, once it was asked for.
    pub reference: Vec<(String, String)>,
    /// Bytes that were written to the terminal in the last second.
    pub rate: usize,
    /// How pictures are drawn, in a word.
    pub painter: String,
    /// Whether `q` was pressed once while something was running.
    pub leaving: bool,
    /// Where scripts of this session's methods are, as the worker said.
    pub scripts: BTreeMap<String, PathBuf>,
}

/// The panes, in the order of their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Pane {
    #[default]
    Methods,
    Layers,
    Figures,
    Parameters,
    Classes,
    Curves,
    Log,
}

/// What is open over the panes.
#[derive(Debug)]
pub enum Popup {
    /// The help, scrolled by so many rows.
    Help(usize),
    /// A list to choose from.
    Picker(Picker),
    /// A line to type in.
    Prompt(Prompt),
}

/// What the cursor rests on.
#[derive(Clone, Debug, PartialEq)]
pub enum Rest {
    /// A method of this name.
    Method(String),
    /// A layer of this name.
    Layer(String),
}

/// The open picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Its name.
    pub name: String,
    /// What it was asked for as.
    pub source: String,
    /// `(C, H, W)` in `[0, 1]`.
    pub pixels: Array,
    /// What the network says of it.
    pub classes: Vec<ClassRow>,
    /// A number that no other picture of this session has.
    pub id: u64,
}

/// What a method has shown so far.
#[derive(Debug, Default)]
pub struct Run {
    /// What it showed last.
    pub frame: Option<Frame>,
    /// A number that no other frame of this session has.
    pub id: u64,
    /// The class probabilities of each step seen.
    pub history: BTreeMap<usize, Vec<ClassRow>>,
    /// Whether it steps by itself.
    pub playing: bool,
    /// Whether what is shown belongs to another method, model or picture than the one asked for.
    pub foreign: bool,
}

/// What a long computation has done.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What is done.
    pub what: String,
    /// How much of it.
    pub done: usize,
    /// How much in all; 0 when unknown.
    pub total: usize,
}

/// An error on screen.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The error.
    pub report: Report,
    /// When it came.
    pub at: Duration,
    /// Whether something good stays on screen.
    pub good_stays: bool,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// When.
    pub at: Duration,
    /// How it is meant.
    pub tone: Tone,
    /// What.
    pub text: String,
}

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// By the way.
    Plain,
    /// Good news.
    Good,
    /// Something is wrong.
    Bad,
}

/// The log keeps so many lines.
const LOG_LINES: usize = 500;

/// A line that carries fewer bytes a second is at rest.
pub const RATE: usize = 2048;

/// The status line keeps a word for so long.
const TOAST: Duration = Duration::from_secs(4);

impl Pane {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Methods, Self::Layers, Self::Figures, Self::Parameters, Self::Classes, Self::Curves, Self::Log];

    /// Its number, from 1.
    pub fn number(self) -> usize {
        Self::ALL.iter().position(|p| *p == self).map_or(1, |i| i + 1)
    }

    /// The context of its keys.
    pub fn context(self) -> Context {
        match self {
            Self::Methods => Context::Methods,
            Self::Layers => Context::Layers,
            Self::Figures => Context::Figures,
            Self::Parameters => Context::Parameters,
            Self::Classes => Context::Classes,
            Self::Curves => Context::Curves,
            Self::Log => Context::Log,
        }
    }
}

impl State {
    /// A state for a terminal of this size.
    pub fn new(columns: u16, rows: u16) -> Self {
        let focus = if columns < 60 || rows < 16 { Pane::Figures } else { Pane::Methods };
        Self { size: (columns, rows), focus, ..Self::default() }
    }

    /// The contexts whose keys hold now, the nearest first.
    pub fn contexts(&self) -> Vec<Context> {
        match &self.popup {
            Some(Popup::Help(_)) => vec![Context::Help],
            Some(Popup::Picker(_)) => vec![Context::Picker],
            Some(Popup::Prompt(_)) => vec![Context::Prompt],
            None => vec![self.focus.context(), Context::Everywhere],
        }
    }

    /// Writes a line into the log.
    pub fn note(&mut self, tone: Tone, text: impl Into<String>) {
        self.log.push(LogLine { at: self.now, tone, text: text.into() });
        let surplus = self.log.len().saturating_sub(LOG_LINES);
        self.log.drain(..surplus);
    }

    /// Says something in the status line for a while.
    pub fn say(&mut self, text: impl Into<String>) {
        self.toast = Some((text.into(), self.now + TOAST));
    }

    /// The methods that the filter lets through.
    pub fn listed(&self) -> Vec<&MethodRow> {
        let text = self.method_filter.to_lowercase();
        let hit = |m: &&MethodRow| m.name.contains(&text) || m.group.contains(&text) || m.summary.contains(&text);
        self.methods.iter().filter(hit).collect()
    }

    /// The row among these whose name the filter tells best: it is the name, begins it, or is in it.
    pub fn best_listed(&self) -> usize {
        let text = self.method_filter.to_lowercase();
        let fit = |name: &str| (name == text, name.starts_with(&text), name.contains(&text));
        let best = self.listed().iter().enumerate().rev().max_by_key(|(_, m)| fit(&m.name)).map(|(row, _)| row);
        best.unwrap_or_default()
    }

    /// The row of the present method.
    pub fn method_row(&self) -> Option<&MethodRow> {
        let name = &self.method.as_ref()?.name;
        self.methods.iter().find(|m| m.name == *name)
    }

    /// The value of a parameter, as set here or as the worker last said.
    pub fn value<'a>(&'a self, param: &'a ParamRow) -> &'a str {
        self.edits.get(&param.name).unwrap_or(&param.value)
    }

    /// The parameters of the present method.
    pub fn params(&self) -> &[ParamRow] {
        self.method.as_ref().map_or(&[], |m| &m.params)
    }

    /// The parameter of the present method that is a layer.
    pub fn layer_param(&self) -> Option<(&ParamRow, &[String])> {
        self.params().iter().find_map(|p| match &p.kind {
            ParamKind::Layer(kinds) => Some((p, kinds.as_slice())),
            _ => None,
        })
    }

    /// The layer that the method looks at. Negative numbers count from the end of the layers that it may look at.
    pub fn layer(&self) -> Option<String> {
        let (param, kinds) = self.layer_param()?;
        let value = self.value(param);
        let Ok(index) = value.parse::<i64>() else { return Some(value.to_owned()) };
        let names = self.layers_of(kinds);
        let at = if index < 0 { names.len() as i64 + index } else { index };
        names.get(usize::try_from(at).ok()?).cloned()
    }

    /// Names of the layers of these kinds; of all when there are none.
    pub fn layers_of(&self, kinds: &[String]) -> Vec<String> {
        let layers = self.model.as_ref().map_or(&[][..], |m| &m.layers);
        let fits = |kind: &String| kinds.is_empty() || kinds.contains(kind);
        layers.iter().filter(|l| fits(&l.kind)).map(|l| l.name.clone()).collect()
    }

    /// The values that a parameter may have whose layers are of these kinds; first `all` where that is its default.
    pub fn values_of(&self, param: &ParamRow, kinds: &[String]) -> Vec<String> {
        let all = (param.default == "all").then(|| "all".to_owned());
        all.into_iter().chain(self.layers_of(kinds)).collect()
    }

    /// The name of a class, or its number.
    pub fn label(&self, class: usize) -> String {
        let labels = self.model.as_ref().map_or(&[][..], |m| &m.labels);
        labels.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// What the network says: of the present step, else of the picture.
    pub fn classes(&self) -> &[ClassRow] {
        let of_frame = self.run.frame.as_ref().and_then(|f| rows_of(&f.figures));
        let of_picture = || self.picture.as_ref().map_or(&[][..], |p| &p.classes);
        of_frame.filter(|_| !self.run.foreign).unwrap_or_else(of_picture)
    }

    /// By how much a class's probability changed since the step before.
    pub fn change(&self, row: &ClassRow) -> Option<f32> {
        let step = self.run.frame.as_ref().filter(|_| !self.run.foreign)?.step;
        let before = self.run.history.get(&step.checked_sub(1)?)?;
        before.iter().find(|r| r.class == row.class).map(|r| row.probability - r.probability)
    }

    /// Whether what is shown answers an older question than the last one asked.
    pub fn stale(&self) -> bool {
        self.run.foreign || self.run.frame.as_ref().is_some_and(|f| f.generation < self.asked)
    }

    /// Whether the present method goes on in steps.
    pub fn stepped(&self) -> bool {
        self.method.as_ref().is_some_and(|m| m.stepped)
    }

    /// The time of the next thing that happens by itself.
    pub fn due(&self) -> Option<Duration> {
        let spin = self.busy.map(|_| self.now + Duration::from_millis(250));
        let rest = self.resting.as_ref().map(|(_, at)| *at);
        let toast = self.toast.as_ref().map(|(_, at)| *at);
        // A rate is shown until nothing was written for a while.
        let rate = (self.rate >= RATE).then(|| self.now + Duration::from_millis(1050));
        [spin, rest, toast, rate].into_iter().flatten().min()
    }
}

/// The class probabilities among some figures.
pub fn rows_of(figures: &[Figure]) -> Option<&[ClassRow]> {
    figures.iter().find_map(|f| match &f.body {
        Body::Classes { rows, .. } => Some(rows.as_slice()),
        _ => None,
    })
}
