//! A session: model, picture, target, method, parameters, and the steps of the run.

pub mod history;
pub mod snapshot;
pub mod checkpoint;
pub mod workspace;
mod idle;
mod steps;

use super::api::LabelledTrace;
use super::host::Host;
use super::method::Method;
use super::method::context::{Cx, NoObserver, Observer};
use super::method::data::Data;
use super::method::params::Params;
use super::method::remarks::Remarks;
use super::summary::MethodCard;
use crate::data::source::numbered;
use crate::exec::ScoresNotFinite;
use crate::model::Model;
use crate::render::ClassRow;
use crate::tensor::device;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use history::{History, KeptStep};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// A session with its steps so far. A clone continues independently.
#[derive(Clone)]
pub struct Session {
    model: Model,
    picture: String,
    /// How the picture was opened; `None` if it was computed.
    source: Option<Arc<str>>,
    input: Tensor,
    /// The predicted class, if the scores are finite; `None` if the network has no classes.
    top: Result<Option<usize>, ScoresNotFinite>,
    target: Option<usize>,
    method: Option<Arc<Method>>,
    params: Arc<Params>,
    seed: u64,
    data: Arc<Data>,
    steps: History,
    cursor: usize,
    told: Remarks,
    /// Whether the steps after the one shown were computed with other parameters or another version of the script.
    outdated: bool,
    /// Whether `stop` was turned off only to continue after the network was fooled.
    unstopped: bool,
    observer: Arc<dyn Observer>,
}

impl Session {
    /// A session with a model and a picture, `(1, C, H, W)` in `[0, 1]`.
    pub fn new(host: &Host, model: Model, picture: &str, input: Tensor) -> Result<Self> {
        let input = input.to_device(&device())?;
        let top = top(host, &model, &input)?;
        let data = Arc::new(Data::of_model(&model.card.name));
        Ok(Self {
            model,
            picture: picture.into(),
            source: named(picture),
            input,
            top,
            target: None,
            method: None,
            params: Arc::default(),
            seed: 0,
            data,
            steps: History::default(),
            cursor: 0,
            told: Remarks::default(),
            outdated: false,
            unstopped: false,
            observer: Arc::new(NoObserver),
        })
    }

    /// Replaces the model and the picture. The method stays, with parameters that are still valid, and the target if the classes are
    /// the same; all steps are dropped.
    pub fn replace(&mut self, host: &Host, model: Model, picture: &str, input: Tensor) -> Result<()> {
        let texts = self.params.changed();
        let input = input.to_device(&device())?;
        self.top = top(host, &model, &input)?;
        if model.classes() != self.model.classes() || model.card.labels != self.model.card.labels {
            self.target = None;
        }
        (self.model, self.picture, self.input) = (model, picture.into(), input);
        self.source = named(picture);
        if let Some(method) = &self.method {
            self.params = Arc::new(Params::new(method.params.clone()));
        }
        for (name, text) in texts {
            // Values that do not exist in the new model fall back to the default.
            let _ = Arc::make_mut(&mut self.params).set(&name, &text, &self.model);
        }
        self.forget();
        Ok(())
    }

    /// Sets the observer.
    pub fn watched_by(&mut self, observer: Arc<dyn Observer>) {
        self.observer = observer;
    }

    /// Records how the picture was opened, for names that do not say so, such as those of files.
    pub fn opened_as(&mut self, source: &str) {
        self.source = Some(source.into());
    }

    /// The network.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The picture's name.
    pub fn picture(&self) -> &str {
        &self.picture
    }

    /// The picture, `(1, C, H, W)` in `[0, 1]`.
    pub fn input(&self) -> &Tensor {
        &self.input
    }

    /// The target class: the chosen one, else the predicted one; `None` if the scores are not finite or the network has no classes.
    pub fn target(&self) -> Option<usize> {
        self.target.or(self.top.as_ref().ok().copied().flatten())
    }

    /// Why there is no predicted class; `None` if the scores are finite.
    pub fn unnamed(&self) -> Option<&ScoresNotFinite> {
        self.top.as_ref().err()
    }

    /// The chosen target class; `None` for the predicted class.
    pub fn chosen(&self) -> Option<usize> {
        self.target
    }

    /// The open method, if any.
    pub fn method(&self) -> Option<&Method> {
        self.method.as_deref()
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// What the method reported besides figures.
    pub fn told(&self) -> &Remarks {
        &self.told
    }

    /// Names and values of the parameters as used.
    pub fn as_used(&self) -> Vec<(String, String)> {
        let used =
            |(name, asked): (String, String)| (name.clone(), self.told.used().get(&name).cloned().unwrap_or(asked));
        self.params.texts(&self.model).into_iter().map(used).collect()
    }

    /// Names and requested values of the parameters for which another value was used.
    pub fn asked_otherwise(&self) -> Vec<(String, String)> {
        let differs = |(name, asked): &(String, String)| self.told.used().get(name).is_some_and(|used| used != asked);
        self.params.texts(&self.model).into_iter().filter(differs).collect()
    }

    /// Notes for the user that have not been returned yet.
    pub fn new_notes(&mut self) -> Vec<String> {
        self.told.new_notes()
    }

    /// The seed of random numbers.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Sets the seed of random numbers.
    pub fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// The data set, if one was named or the network comes with one.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Sets the data set.
    pub fn set_data(&mut self, data: Data) {
        self.data = Arc::new(data);
    }

    /// The `count` most likely classes of the picture, best first; empty if the scores are not finite or the network has no classes.
    pub fn classes(&self, host: &Host, count: usize) -> Result<Vec<ClassRow>> {
        if !matches!(self.top, Ok(Some(_))) {
            return Ok(vec![]);
        }
        super::api::class_rows(&LabelledTrace::forward(host.guard(), &self.model, &self.input)?, count)
    }

    /// Sets the target class; `None` for the predicted class. Errors if there is no such class.
    pub fn set_target(&mut self, target: Option<usize>) -> Result<()> {
        let classes = self.model.classes();
        if target.is_some() {
            self.model.graph.check_classes()?;
        }
        ensure!(target.is_none_or(|t| t < classes), "no class {}; there are {classes}", target.unwrap_or_default());
        self.target = target;
        Ok(())
    }

    /// Opens a method with its default parameters.
    pub fn open(&mut self, method: Method) {
        self.params = Arc::new(Params::new(method.params.clone()));
        self.method = Some(Arc::new(method));
        self.unstopped = false;
        self.forget();
    }

    /// Replaces the open method by a newer version; parameters that are still valid and all steps stay.
    pub fn reload(&mut self, method: Method) {
        self.params = Arc::new(self.params.carried_to(method.params.clone()));
        let keep = method.stepped && self.method.as_ref().is_some_and(|m| m.stepped);
        self.method = Some(Arc::new(method));
        self.change();
        if !keep {
            self.forget();
        }
    }

    /// Sets a parameter from a string. A stepped method continues from the step shown, even if that was the last.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        Arc::make_mut(&mut self.params).set(name, text, &self.model)?;
        self.unstopped &= name != "stop";
        self.change();
        Ok(())
    }

    /// Sets an array or picture parameter to a tensor instead of a file.
    pub fn give(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        Arc::make_mut(&mut self.params).give(name, tensor)?;
        self.change();
        Ok(())
    }

    fn change(&mut self) {
        self.outdated = true;
        if let Some(step) = self.steps.get_mut(self.cursor) {
            step.done = None;
        }
    }

    /// The method and its parameters for the app.
    pub fn card(&self) -> Option<MethodCard> {
        let m = self.method.as_ref()?;
        Some(MethodCard {
            name: m.name.clone(),
            doc: m.doc.clone(),
            stepped: m.stepped,
            params: self.params.rows(&self.model),
        })
    }

    /// Whether a further step is possible.
    pub fn can_go_on(&self) -> bool {
        self.method.as_ref().is_some_and(|m| m.stepped) && self.present().is_some_and(|s| s.done.is_none())
    }

    /// The index of the step shown.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// The number of steps kept.
    pub fn kept(&self) -> usize {
        self.steps.len()
    }

    /// Whether the run has started.
    pub fn started(&self) -> bool {
        self.steps.len() > 0
    }

    /// Why the current step is the last, if it is.
    pub fn done(&self) -> Option<&str> {
        self.present()?.done.as_deref()
    }

    fn present(&self) -> Option<&KeptStep> {
        self.steps.get(self.cursor)
    }

    /// Replaces all steps; the last one is shown.
    fn set_steps(&mut self, steps: Vec<KeptStep>, used: BTreeMap<String, String>) {
        self.told = Remarks::of(used);
        self.cursor = steps.len().saturating_sub(1);
        self.steps = History::new(steps);
        self.outdated = false;
    }

    fn forget(&mut self) {
        self.steps = History::default();
        self.cursor = 0;
        self.told = Remarks::default();
        self.outdated = false;
    }

    /// The scalars of every step up to the one shown.
    pub fn scalars(&self) -> Vec<Vec<(String, f64)>> {
        self.steps.iter().take(self.cursor + 1).map(|s| s.scalars.clone()).collect()
    }

    /// The number of pictures in the data set with non-finite scores, as reported by the step shown; `None` if it is 0 or not reported.
    pub fn not_finite(&self) -> Option<usize> {
        let told = self.present()?.scalars.iter().find(|(name, _)| name == "not_finite");
        told.map(|(_, count)| *count as usize).filter(|&count| count > 0)
    }

    /// The duration of every step up to the one shown, in milliseconds.
    pub fn millis(&self) -> Vec<f64> {
        self.steps.iter().take(self.cursor + 1).map(|s| s.millis).collect()
    }

    fn cx(&self, step: usize) -> Cx {
        let method = self.method.as_ref();
        Cx {
            model: self.model.clone(),
            input: self.input.clone(),
            source: self.source.clone(),
            targets: self
                .target
                .map_or_else(|| self.top.clone(), |target| Ok(Some(target)))
                .map(|class| vec![class.unwrap_or(0)]),
            data: self.data.clone(),
            params: self.params.clone(),
            used: Arc::default(),
            step,
            seed: self.seed,
            asked: method.map(|m| m.name.clone()).into_iter().collect(),
            stream: method.map_or(0, |m| m.stream()),
            draws: Arc::new(AtomicU64::new(0)),
            observer: self.observer.clone(),
        }
    }
}

/// How a picture was opened, if its name says so: pictures of a data set are numbered, while files are named without their folder.
fn named(picture: &str) -> Option<Arc<str>> {
    numbered(picture).map(|_| picture.into())
}

/// The class predicted for a picture, if the network has classes; an inner error if its scores are not finite.
fn top(host: &Host, model: &Model, input: &Tensor) -> Result<Result<Option<usize>, ScoresNotFinite>> {
    let run = LabelledTrace::forward(host.guard(), model, input)?;
    if model.classes() == 0 {
        return Ok(Ok(None));
    }
    match run.top() {
        Ok(top) => Ok(Ok(top.first().copied())),
        Err(error) => error.downcast::<ScoresNotFinite>().map(Err),
    }
}
