//! One open question: model, picture, target, method, parameters; and the steps of its answer.

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

/// A question with its answer so far; a clone goes on by itself.
#[derive(Clone)]
pub struct Session {
    model: Model,
    picture: String,
    /// What the picture was opened as; none for one that was made.
    source: Option<Arc<str>>,
    input: Tensor,
    /// What the network says of the picture, if its scores are finite; none where it has no classes.
    top: Result<Option<usize>, ScoresNotFinite>,
    target: Option<usize>,
    method: Option<Arc<Method>>,
    params: Arc<Params>,
    seed: u64,
    data: Arc<Data>,
    steps: History,
    cursor: usize,
    told: Remarks,
    /// Whether the steps ahead of the one shown were made by other parameters or another script than the present ones.
    outdated: bool,
    /// Whether `stop` is off only to take further steps after the network was fooled.
    unstopped: bool,
    observer: Arc<dyn Observer>,
}

impl Session {
    /// A model with a picture, `(1, C, H, W)` in `[0, 1]`.
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

    /// Another model or picture under the same method: parameters that still fit stay, and the target if the classes are
    /// the same; the answer begins anew.
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
            // What the new model does not have falls back to the default.
            let _ = Arc::make_mut(&mut self.params).set(&name, &text, &self.model);
        }
        self.forget();
        Ok(())
    }

    /// Who watches from now on.
    pub fn watched_by(&mut self, observer: Arc<dyn Observer>) {
        self.observer = observer;
    }

    /// Tells what the picture was opened as, where its name leaves that out: a file in its folder.
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

    /// The class asked about: the one chosen, else what the network says; none where its scores are not finite, or it has no
    /// classes.
    pub fn target(&self) -> Option<usize> {
        self.target.or(self.top.as_ref().ok().copied().flatten())
    }

    /// Why the network names no class; none where its scores are finite.
    pub fn unnamed(&self) -> Option<&ScoresNotFinite> {
        self.top.as_ref().err()
    }

    /// The class that was chosen; none: what the network says.
    pub fn chosen(&self) -> Option<usize> {
        self.target
    }

    /// The method, when one is open.
    pub fn method(&self) -> Option<&Method> {
        self.method.as_deref()
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// What the method says of its answer besides figures.
    pub fn told(&self) -> &Remarks {
        &self.told
    }

    /// Names and values of the parameters as they were used.
    pub fn as_used(&self) -> Vec<(String, String)> {
        let used =
            |(name, asked): (String, String)| (name.clone(), self.told.used().get(&name).cloned().unwrap_or(asked));
        self.params.texts(&self.model).into_iter().map(used).collect()
    }

    /// Names and values of the parameters that were used otherwise, as they were asked.
    pub fn asked_otherwise(&self) -> Vec<(String, String)> {
        let differs = |(name, asked): &(String, String)| self.told.used().get(name).is_some_and(|used| used != asked);
        self.params.texts(&self.model).into_iter().filter(differs).collect()
    }

    /// What a person should know of the answer and was not yet asked for.
    pub fn new_notes(&mut self) -> Vec<String> {
        self.told.new_notes()
    }

    /// The seed of random numbers.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Another seed of random numbers.
    pub fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// The data set, if one is named or the network has one of its own.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Another data set.
    pub fn set_data(&mut self, data: Data) {
        self.data = Arc::new(data);
    }

    /// What the network says of the picture, best first; nothing where its scores are not finite, or it has no classes.
    pub fn classes(&self, host: &Host, count: usize) -> Result<Vec<ClassRow>> {
        if !matches!(self.top, Ok(Some(_))) {
            return Ok(vec![]);
        }
        super::api::class_rows(&LabelledTrace::forward(host.guard(), &self.model, &self.input)?, count)
    }

    /// Chooses the class asked about; none: what the network says.
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

    /// A newer version of the open method: parameters that still fit and all steps stay.
    pub fn reload(&mut self, method: Method) {
        self.params = Arc::new(self.params.carried_to(method.params.clone()));
        let keep = method.stepped && self.method.as_ref().is_some_and(|m| m.stepped);
        self.method = Some(Arc::new(method));
        self.change();
        if !keep {
            self.forget();
        }
    }

    /// Sets a parameter by its name and a text; a stepper goes on from the step shown, even one that was the last.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        Arc::make_mut(&mut self.params).set(name, text, &self.model)?;
        self.unstopped &= name != "stop";
        self.change();
        Ok(())
    }

    /// Gives a parameter of numbers a tensor that stands in no file.
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

    /// Whether steps can be taken from here.
    pub fn can_go_on(&self) -> bool {
        self.method.as_ref().is_some_and(|m| m.stepped) && self.present().is_some_and(|s| s.done.is_none())
    }

    /// The step shown.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// How many steps are kept.
    pub fn kept(&self) -> usize {
        self.steps.len()
    }

    /// Whether the answer has begun.
    pub fn started(&self) -> bool {
        self.steps.len() > 0
    }

    /// Why the present step is the last, if it is.
    pub fn done(&self) -> Option<&str> {
        self.present()?.done.as_deref()
    }

    fn present(&self) -> Option<&KeptStep> {
        self.steps.get(self.cursor)
    }

    /// Puts these steps in the place of all others; the last is shown.
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

    /// The numbers of every step up to the one shown.
    pub fn scalars(&self) -> Vec<Vec<(String, f64)>> {
        self.steps.iter().take(self.cursor + 1).map(|s| s.scalars.clone()).collect()
    }

    /// How many pictures of the data set had scores that are not finite, as the step shown says; none: all are, or it does
    /// not say.
    pub fn not_finite(&self) -> Option<usize> {
        let told = self.present()?.scalars.iter().find(|(name, _)| name == "not_finite");
        told.map(|(_, count)| *count as usize).filter(|&count| count > 0)
    }

    /// How long every step up to the one shown took, in milliseconds.
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

/// The name of a picture of a data set says which it is; that of a file leaves its folder out.
fn named(picture: &str) -> Option<Arc<str>> {
    numbered(picture).map(|_| picture.into())
}

/// The class that a network names a picture as, if it has classes; none where its scores are not finite.
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
