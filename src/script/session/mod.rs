//! Sessions: a model, a picture, a target class, a method with its parameters, and the steps of its run.

pub mod history;
pub mod snapshot;
pub mod checkpoint;
pub mod workspace;
mod ablations;
mod idle;
mod provenance;
mod steps;
mod target;

pub use provenance::{CommandLine, PictureOrigin};
pub use target::Target;

use super::agreement::Agreement;
use super::api::LabeledTrace;
use super::host::Host;
use super::method::Method;
use super::method::context::{Cx, NoObserver, Observer};
use super::method::data::Data;
use super::method::params::Params;
use super::method::remarks::Remarks;
use super::summary::{Frame, MethodCard};
use crate::data::source::numbered;
use crate::exec::ScoresNotFinite;
use crate::model::{Ablation, Model};
use crate::render::ClassRow;
use anyhow::Result;
use candle_core::Tensor;
use history::{History, KeptStep};
use rhai::Map;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use target::Selected;

/// A model, a picture, a method with its parameters, and the steps of its run so far. Clones are independent.
#[derive(Clone)]
pub struct Session {
    model: Model,
    /// The network without ablations, and the ablations with which `model` is made from it.
    intact: Model,
    ablations: Vec<Ablation>,
    picture: String,
    /// The name by which the picture was opened; `None` if the picture was computed.
    source: Option<Arc<str>>,
    /// Where the picture came from, if recorded.
    origin: Option<PictureOrigin>,
    /// The command line that computes the result, if there is one.
    command: Option<Arc<CommandLine>>,
    input: Tensor,
    /// The predicted class; an error if the scores are not finite, and `None` if the network has no classes.
    top: Result<Option<usize>, ScoresNotFinite>,
    target: Option<Selected>,
    method: Option<Arc<Method>>,
    params: Arc<Params>,
    seed: u64,
    data: Arc<Data>,
    steps: History,
    cursor: usize,
    told: Remarks,
    /// How well the result agrees with that in f32, if compared.
    agreement: Option<Agreement>,
    /// Whether the steps after the current one were computed with different parameters or a different version of the script.
    outdated: bool,
    /// Whether the steps were computed with different parameters or versions of the script.
    mixed: bool,
    /// Whether the parameter `stop` was turned off only to let an attack continue after fooling the network.
    unstopped: bool,
    observer: Arc<dyn Observer>,
}

impl Session {
    /// Creates a session with a model and an input picture, `(1, C, H, W)` in `[0, 1]`, named `picture`.
    pub fn new(host: &Host, model: Model, picture: &str, input: Tensor) -> Result<Self> {
        let input = model.take(&input)?;
        let top = top(host, &model, &input)?;
        let data = Arc::new(Data::of_model(&model.card.name));
        Ok(Self {
            intact: model.clone(),
            ablations: vec![],
            model,
            picture: picture.into(),
            source: named(picture),
            origin: None,
            command: None,
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
            agreement: None,
            outdated: false,
            mixed: false,
            unstopped: false,
            observer: Arc::new(NoObserver),
        })
    }

    /// Replaces the model and the picture and drops all steps. The method stays open and keeps parameter values that are still
    /// valid. A target class is kept if the new model has the same classes, and a target expression if it applies to the new model
    /// and picture. Ablations are kept if `model` is the current network [without ablations](Self::intact).
    pub fn replace(&mut self, host: &Host, model: Model, picture: &str, input: Tensor) -> Result<()> {
        let texts = self.params.changed();
        let input = model.take(&input)?;
        let model = self.ablated_again(model)?;
        self.top = top(host, &model, &input)?;
        self.target = self.target.take().and_then(|target| target.carried(&self.model, &model, &input));
        (self.model, self.picture, self.input) = (model, picture.into(), input);
        self.source = named(picture);
        self.origin = None;
        if let Some(method) = &self.method {
            self.params = Arc::new(Params::new(method.params.clone()));
        }
        for (name, text) in texts {
            // Parameter values not supported by the new model fall back to the default.
            let _ = Arc::make_mut(&mut self.params).set(&name, &text, &self.model);
        }
        self.forget();
        Ok(())
    }

    /// Opens another picture. The steps of a method that ignores the picture are kept. Returns whether there are such steps.
    ///
    /// Errors under the same conditions as [`replace`](Self::replace).
    pub fn replace_picture(&mut self, host: &Host, model: Model, picture: &str, input: Tensor) -> Result<bool> {
        let ignored = self.method.as_ref().is_some_and(|method| method.ignores_picture && method.stepped);
        let steps = (ignored && self.steps.len() > 0).then(|| (self.steps.clone(), self.cursor, self.told.clone()));
        self.replace(host, model, picture, input)?;
        let kept = steps.is_some();
        if let Some(steps) = steps {
            (self.steps, self.cursor, self.told) = steps;
        }
        Ok(kept)
    }

    /// Sets the observer that receives figures and progress while a method runs.
    pub fn watched_by(&mut self, observer: Arc<dyn Observer>) {
        self.observer = observer;
    }

    /// Records the name by which the picture was opened, which may differ from the picture's name: the name of a picture file does not
    /// include its folder. `size` is the picture's height and width before preprocessing.
    pub fn opened_as(&mut self, source: &str, size: Option<[usize; 2]>) {
        self.source = Some(source.into());
        self.origin = Some(PictureOrigin::new(source, size));
    }

    /// Where the picture came from, if [recorded](Self::opened_as).
    pub fn origin(&self) -> Option<&PictureOrigin> {
        self.origin.as_ref()
    }

    /// Records the command line that computes the result.
    pub fn computed_by(&mut self, command: CommandLine) {
        self.command = Some(command.into());
    }

    /// The command line that computes the result, if [recorded](Self::computed_by).
    pub fn command(&self) -> Option<&CommandLine> {
        self.command.as_deref()
    }

    /// The session's network, with weights and card.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Name of the picture.
    pub fn picture(&self) -> &str {
        &self.picture
    }

    /// The input picture, `(1, C, H, W)` in `[0, 1]`.
    pub fn input(&self) -> &Tensor {
        &self.input
    }

    /// The error if no class is predicted because the scores are not finite.
    pub fn unnamed(&self) -> Option<&ScoresNotFinite> {
        self.top.as_ref().err()
    }

    /// Compares the result in `frame` with that of the same run in f32, and keeps the comparison.
    pub fn compare_with_f32(&mut self, frame: &Frame, (other, in_f32): (&Self, &Frame)) -> Result<&Agreement> {
        let logits = |s: &Self| {
            let graph = s.method.as_ref().map_or_else(|| s.model.graph.clone(), |m| m.exactly(&s.model).graph);
            graph.logits(&s.input)
        };
        let class = |s: &Self| s.top.as_ref().ok().copied().flatten();
        let agreement = Agreement::new(
            [&frame.figures, &in_f32.figures],
            [&logits(self)?, &logits(other)?],
            [class(self), class(other)],
        )?;
        Ok(self.agreement.insert(agreement))
    }

    /// How well the result agrees with that in f32; `None` unless [compared](Self::compare_with_f32).
    pub fn agreement(&self) -> Option<&Agreement> {
        self.agreement.as_ref()
    }

    /// The open method, if any.
    pub fn method(&self) -> Option<&Method> {
        self.method.as_deref()
    }

    /// The parameters of the open method.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The notes of the current run, and the effective values of the parameters that the method reported, such as a `count` capped at the
    /// size of the data set.
    pub fn told(&self) -> &Remarks {
        &self.told
    }

    /// Names and effective values of all parameters, in `--set` syntax.
    pub fn as_used(&self) -> Vec<(String, String)> {
        let used =
            |(name, asked): (String, String)| (name.clone(), self.told.used().get(&name).cloned().unwrap_or(asked));
        self.params.texts(&self.model).into_iter().map(used).collect()
    }

    /// Names and requested values of the parameters whose effective value differs from the requested one.
    pub fn asked_otherwise(&self) -> Vec<(String, String)> {
        let differs = |(name, asked): &(String, String)| self.told.used().get(name).is_some_and(|used| used != asked);
        self.params.texts(&self.model).into_iter().filter(differs).collect()
    }

    /// Returns notes to the user that were not returned before.
    pub fn new_notes(&mut self) -> Vec<String> {
        self.told.new_notes()
    }

    /// The random seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Sets the random seed.
    pub fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// The session's data set: the one specified by the user, or the synthetic one on which the network was trained.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Sets the session's data set.
    pub fn set_data(&mut self, data: Data) {
        self.data = Arc::new(data);
    }

    /// The top `count` classes, most likely first; empty if the scores are not finite or the network has no classes.
    pub fn classes(&self, host: &Host, count: usize) -> Result<Vec<ClassRow>> {
        if !matches!(self.top, Ok(Some(_))) {
            return Ok(vec![]);
        }
        self.classes_of(host, &self.input, count)
    }

    /// Like [`classes`](Self::classes), for the attacked picture at the current step; `None` if the method is not an attack.
    pub fn attacked_classes(&self, host: &Host, count: usize) -> Result<Option<Vec<ClassRow>>> {
        let Some(x) = self.attacked().filter(|_| self.model.classes() > 0) else { return Ok(None) };
        match self.classes_of(host, &x, count) {
            Err(error) if error.is::<ScoresNotFinite>() => Ok(Some(vec![])),
            rows => rows.map(Some),
        }
    }

    /// The attacked picture at the current step: the entry `x` of the step's state.
    fn attacked(&self) -> Option<Tensor> {
        self.method.as_ref().filter(|method| method.attack)?;
        let state = self.present()?.state.read_lock::<Map>()?.get("x")?.clone().try_cast::<Tensor>()?;
        (state.dims() == self.input.dims()).then_some(state)
    }

    fn classes_of(&self, host: &Host, x: &Tensor, count: usize) -> Result<Vec<ClassRow>> {
        super::api::class_rows(&LabeledTrace::forward(host.guard(), &self.model, x)?, count)
    }

    /// Opens a method with its default parameter values.
    pub fn open(&mut self, method: Method) {
        self.params = Arc::new(Params::new(method.params.clone()));
        self.method = Some(Arc::new(method));
        self.unstopped = false;
        self.forget();
    }

    /// Replaces the open method with a newer version of its script. Keeps parameter values that are still valid and, if
    /// both versions run in steps, all steps.
    pub fn reload(&mut self, method: Method) {
        self.params = Arc::new(self.params.carried_to(method.params.clone()));
        let keep = method.stepped && self.method.as_ref().is_some_and(|m| m.stepped);
        self.method = Some(Arc::new(method));
        self.change();
        if !keep {
            self.forget();
        }
    }

    /// Sets a parameter from a string in `--set` syntax. A stepped method then continues from the current step, even if the run
    /// had ended.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        Arc::make_mut(&mut self.params).set(name, text, &self.model)?;
        self.unstopped &= name != "stop";
        self.change();
        Ok(())
    }

    /// Sets an array or picture parameter to a tensor that is not from a file.
    pub fn give(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        Arc::make_mut(&mut self.params).give(name, tensor)?;
        self.change();
        Ok(())
    }

    fn change(&mut self) {
        self.outdated = true;
        self.mixed |= self.steps.len() > 0 && self.method.as_ref().is_some_and(|m| m.stepped);
        if let Some(step) = self.steps.get_mut(self.cursor) {
            step.done = None;
        }
    }

    /// The open method and its parameters as plain values, for the app; `None` if no method is open.
    pub fn card(&self) -> Option<MethodCard> {
        let m = self.method.as_ref()?;
        Some(MethodCard {
            name: m.name.clone(),
            doc: m.doc.clone(),
            stepped: m.stepped,
            params: self.params.rows(&self.model),
        })
    }

    /// Whether the open method can take another step after the current one.
    pub fn can_go_on(&self) -> bool {
        self.method.as_ref().is_some_and(|m| m.stepped) && self.present().is_some_and(|s| s.done.is_none())
    }

    /// Whether the steps were computed with different parameters or versions of the script, so that no single run gives them.
    pub fn mixed(&self) -> bool {
        self.mixed
    }

    /// Sets whether the restored steps were computed with different parameters.
    pub fn set_mixed(&mut self, mixed: bool) {
        self.mixed = mixed;
    }

    /// Whether computing the next step would drop later steps, which were computed with other parameters.
    pub fn next_drops_steps(&self) -> bool {
        self.outdated && self.cursor + 1 < self.steps.len()
    }

    /// The index of the current (displayed) step.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// The number of steps in the run's history.
    pub fn kept(&self) -> usize {
        self.steps.len()
    }

    /// Whether the run has at least one step.
    pub fn started(&self) -> bool {
        self.steps.len() > 0
    }

    /// Why the run ended at the current step; `None` if it can continue.
    pub fn done(&self) -> Option<&str> {
        self.present()?.done.as_deref()
    }

    fn present(&self) -> Option<&KeptStep> {
        self.steps.get(self.cursor)
    }

    /// Replaces all steps of the run, makes the last one current, and records the effective parameter values `used`.
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
        self.agreement = None;
        self.outdated = false;
        self.mixed = false;
    }

    /// The scalars of each step up to and including the current one, as pairs of name and value.
    pub fn scalars(&self) -> Vec<Vec<(String, f64)>> {
        self.steps.iter().take(self.cursor + 1).map(|s| s.scalars.clone()).collect()
    }

    /// The number of data set pictures with non-finite scores, as reported by the current step; `None` if 0 or not reported.
    pub fn not_finite(&self) -> Option<usize> {
        let told = self.present()?.scalars.iter().find(|(name, _)| name == "not_finite");
        told.map(|(_, count)| *count as usize).filter(|&count| count > 0)
    }

    /// The duration in milliseconds of each step up to and including the current one.
    pub fn millis(&self) -> Vec<f64> {
        self.steps.iter().take(self.cursor + 1).map(|s| s.millis).collect()
    }

    fn cx(&self, step: usize) -> Cx {
        let method = self.method.as_ref();
        let model = self.asked_model();
        Cx {
            model: method.map_or_else(|| model.clone(), |m| m.exactly(model)),
            input: self.input.clone(),
            source: self.source.clone(),
            targets: self.asked_class().map(|class| vec![class.unwrap_or(0)]),
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

/// The name by which a picture of a data set can be reopened, such as `cifar10:FILE[17]`; `None` for a picture file, whose name does
/// not include its folder.
fn named(picture: &str) -> Option<Arc<str>> {
    numbered(picture).map(|_| picture.into())
}

/// The predicted class of a picture: `None` if the network has no classes, or an inner error if its scores are not finite.
fn top(host: &Host, model: &Model, input: &Tensor) -> Result<Result<Option<usize>, ScoresNotFinite>> {
    let run = LabeledTrace::forward(host.guard(), model, input)?;
    if model.classes() == 0 {
        return Ok(Ok(None));
    }
    match run.top() {
        Ok(top) => Ok(Ok(top.first().copied())),
        Err(error) => error.downcast::<ScoresNotFinite>().map(Err),
    }
}
