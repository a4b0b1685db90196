//! One open question: model, picture, target, method, parameters; and the steps of its answer.

use super::api::{Run, figures};
use super::context::{Cx, Nobody, Stage};
use super::data::Data;
use super::freeze::freeze;
use super::history::{History, Step};
use super::host::Host;
use super::message::{Frame, MethodCard};
use super::method::Method;
use super::params::Params;
use crate::model::Model;
use crate::render::{ClassRow, Figure};
use crate::tensor::device;
use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use rhai::{Dynamic, Map};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

/// A question with its answer so far; a clone goes on by itself.
#[derive(Clone)]
pub struct Session {
    model: Model,
    picture: String,
    input: Tensor,
    /// What the network says of the picture.
    top: usize,
    target: Option<usize>,
    method: Option<Method>,
    params: Params,
    seed: u64,
    data: Arc<Data>,
    steps: History,
    cursor: usize,
    /// Whether the steps ahead of the one shown were made by other parameters or another script than the present ones.
    outdated: bool,
    stage: Arc<dyn Stage>,
}

impl Session {
    /// A model with a picture, `(1, C, H, W)` in `[0, 1]`.
    pub fn new(host: &Host, model: Model, picture: &str, input: Tensor) -> Result<Self> {
        let input = input.to_device(&device())?;
        let top = Run::forward(host.guard(), &model, &input)?.top()?[0];
        let data = Arc::new(Data::of_model(&model.card.name));
        Ok(Self {
            model,
            picture: picture.into(),
            input,
            top,
            target: None,
            method: None,
            params: Params::default(),
            seed: 0,
            data,
            steps: History::default(),
            cursor: 0,
            outdated: false,
            stage: Arc::new(Nobody),
        })
    }

    /// Another model or picture under the same method: parameters that still fit stay, and the target if the classes are
    /// the same; the answer begins anew.
    pub fn replace(&mut self, host: &Host, model: Model, picture: &str, input: Tensor) -> Result<()> {
        let texts = self.params.changed();
        let input = input.to_device(&device())?;
        self.top = Run::forward(host.guard(), &model, &input)?.top()?[0];
        if model.classes() != self.model.classes() || model.card.labels != self.model.card.labels {
            self.target = None;
        }
        (self.model, self.picture, self.input) = (model, picture.into(), input);
        if let Some(method) = &self.method {
            self.params = Params::new(method.params.clone());
        }
        for (name, text) in texts {
            // What the new model does not have falls back to the default.
            let _ = self.params.set(&name, &text, &self.model);
        }
        self.forget();
        Ok(())
    }

    /// Who watches from now on.
    pub fn watched_by(&mut self, stage: Arc<dyn Stage>) {
        self.stage = stage;
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

    /// The class asked about: the one chosen, else what the network says.
    pub fn target(&self) -> usize {
        self.target.unwrap_or(self.top)
    }

    /// The class that was chosen; none: what the network says.
    pub fn chosen(&self) -> Option<usize> {
        self.target
    }

    /// The method, when one is open.
    pub fn method(&self) -> Option<&Method> {
        self.method.as_ref()
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
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

    /// What the network says of the picture, best first.
    pub fn classes(&self, host: &Host, count: usize) -> Result<Vec<ClassRow>> {
        super::api::class_rows(&Run::forward(host.guard(), &self.model, &self.input)?, count)
    }

    /// Chooses the class asked about; none: what the network says.
    pub fn set_target(&mut self, target: Option<usize>) -> Result<()> {
        let classes = self.model.classes();
        ensure!(target.is_none_or(|t| t < classes), "no class {}; there are {classes}", target.unwrap_or_default());
        self.target = target;
        Ok(())
    }

    /// Opens a method with its default parameters.
    pub fn open(&mut self, method: Method) {
        self.params = Params::new(method.params.clone());
        self.method = Some(method);
        self.forget();
    }

    /// A newer version of the open method: parameters that still fit and all steps stay.
    pub fn reload(&mut self, method: Method) {
        self.params = self.params.carried_to(method.params.clone());
        let keep = method.stepped && self.method.as_ref().is_some_and(|m| m.stepped);
        self.method = Some(method);
        self.change();
        if !keep {
            self.forget();
        }
    }

    /// Sets a parameter by its name and a text; a stepper goes on from the step shown, even one that was the last.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        self.params.set(name, text, &self.model)?;
        self.change();
        Ok(())
    }

    /// Gives a parameter of numbers a tensor that stands in no file.
    pub fn give(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        self.params.give(name, tensor)?;
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

    pub(super) fn present(&self) -> Option<&Step> {
        self.steps.get(self.cursor)
    }

    /// Puts these steps in the place of all others; the last is shown.
    pub(super) fn set_steps(&mut self, steps: Vec<Step>) {
        self.cursor = steps.len().saturating_sub(1);
        self.steps = History::new(steps);
        self.outdated = false;
    }

    fn forget(&mut self) {
        self.steps = History::default();
        self.cursor = 0;
        self.outdated = false;
    }

    /// Runs the method from its start: a one-shot method whole, a stepper to its step 0.
    pub fn run(&mut self, host: &Host) -> Result<Frame> {
        self.forget();
        let begun = Instant::now();
        let method = self.method.clone().context("no method is open")?;
        if method.stepped {
            let state = host.call(&method, "start", (self.cx(0),))?;
            self.push(state, begun).map_err(|e| method.wrong("start", &e))?;
            return self.view(host);
        }
        let answer = host.call(&method, "run", (self.cx(0),))?;
        let figures = figures(answer).map_err(|e| method.wrong("run", &e))?;
        let millis = millis(begun);
        self.steps.push(Step { state: Dynamic::UNIT, scalars: vec![], done: None, millis });
        Ok(self.frame(figures, millis))
    }

    /// One step on: a kept one is shown, unless parameters or script changed since; else it is computed.
    pub fn next(&mut self, host: &Host) -> Result<Frame> {
        match self.cursor + 1 < self.steps.len() && !self.outdated {
            true => self.seek(host, self.cursor + 1),
            false => self.step(host),
        }
    }

    /// One step on from the step shown; steps ahead of it are dropped and computed anew.
    pub fn step(&mut self, host: &Host) -> Result<Frame> {
        match self.present() {
            None => self.run(host),
            Some(_) => self.advance(host).and_then(|()| self.view(host)),
        }
    }

    /// One step on from the step shown, which nobody looks at yet.
    ///
    /// Errors: a method without steps or at its end; what its script says.
    pub fn advance(&mut self, host: &Host) -> Result<()> {
        let begun = Instant::now();
        let method = self.method.clone().context("no method is open")?;
        ensure!(method.stepped, "the method \"{}\" has no steps", method.name);
        let step = self.present().context("the method has not been started")?;
        if let Some(why) = &step.done {
            bail!("the method is at its end: {why}");
        }
        let mut state = step.state.clone();
        if let Some(mut map) = state.write_lock::<Map>() {
            map.remove("done");
        }
        let state = host.call(&method, "step", (self.cx(self.cursor + 1), state))?;
        let kept = self.steps.split_off(self.cursor + 1);
        if let Err(error) = self.push(state, begun) {
            self.steps.extend(kept);
            return Err(method.wrong("step", &error).into());
        }
        self.outdated = false;
        Ok(())
    }

    /// Shows a kept step; in place of one that was dropped the next one kept on the way there.
    pub fn seek(&mut self, host: &Host, step: usize) -> Result<Frame> {
        ensure!(
            step < self.steps.len(),
            "step {step} is not there; steps 0 to {} are",
            self.steps.len().saturating_sub(1)
        );
        if self.method.as_ref().is_some_and(|m| m.stepped) {
            let nearest = self.steps.nearest(step, self.cursor).context("no step is kept; r begins anew")?;
            let told = nearest == self.cursor && step != nearest;
            ensure!(!told, "step {step} is of an earlier session, of which the numbers alone were kept; r begins anew");
            self.cursor = nearest;
        } else {
            self.cursor = step;
        }
        self.view(host)
    }

    /// Shows the present step again, with the parameters and the script as they are now.
    pub fn view(&mut self, host: &Host) -> Result<Frame> {
        let Some(step) = self.present().cloned() else { return self.run(host) };
        let method = self.method.clone().context("no method is open")?;
        if !method.stepped {
            return self.run(host);
        }
        let answer = host.call(&method, "view", (self.cx(self.cursor), step.state))?;
        let figures = figures(answer).map_err(|e| method.wrong("view", &e))?;
        Ok(self.frame(figures, step.millis))
    }

    /// The numbers of every step up to the one shown.
    pub fn scalars(&self) -> Vec<Vec<(String, f64)>> {
        self.steps.iter().take(self.cursor + 1).map(|s| s.scalars.clone()).collect()
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
            targets: vec![self.target()],
            data: self.data.clone(),
            params: Arc::new(self.params.clone()),
            step,
            seed: self.seed,
            asked: method.map(|m| m.name.clone()).into_iter().collect(),
            stream: method.map_or(0, Method::stream),
            draws: Arc::new(AtomicU64::new(0)),
            stage: self.stage.clone(),
        }
    }

    /// Keeps a state as the newest step.
    fn push(&mut self, state: Dynamic, begun: Instant) -> Result<()> {
        let state = freeze(state)?;
        let map = state.read_lock::<Map>().context("a stepper's state is a map: #{ x: cx.input }")?.clone();
        let done = map.get("done").filter(|d| !d.is_unit()).map(ToString::to_string);
        let scalars = map.get("scalars").and_then(|s| s.read_lock::<Map>().map(|m| numbers(&m))).unwrap_or_default();
        self.steps.push(Step { state, scalars, done, millis: millis(begun) });
        self.cursor = self.steps.len() - 1;
        Ok(())
    }

    fn frame(&self, figures: Vec<Figure>, millis: f64) -> Frame {
        Frame {
            generation: 0,
            step: self.cursor,
            kept: self.steps.len(),
            stride: self.steps.stride(),
            done: self.present().and_then(|s| s.done.clone()),
            figures,
            data: self.data.name().map(String::from),
            scalars: self.steps.curves(),
            millis,
            partial: false,
        }
    }
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn numbers(map: &Map) -> Vec<(String, f64)> {
    let number = |v: &Dynamic| v.as_float().ok().or_else(|| v.as_int().ok().map(|v| v as f64));
    map.iter().filter_map(|(name, v)| Some((name.to_string(), number(v)?))).collect()
}
