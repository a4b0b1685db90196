//! Calls from one method to another: `answer(cx, "gradcam", #{ input: x })` runs the method `gradcam` to completion.

use super::fooled;
use crate::exec::ScoresNotFinite;
use crate::model::Model;
use crate::render::{Body, Figure};
use crate::script::api::declare::Declared;
use crate::script::api::options::CallOptions;
use crate::script::api::{classes, figures};
use crate::script::engine::CompiledLibraries;
use crate::script::engine::compile::{call, compile};
use crate::script::folders::Folders;
use crate::script::method::Method;
use crate::script::method::context::{Cx, Observer};
use crate::script::method::params::Params;
use crate::script::report::{Inner, line_with, raise};
use crate::script::sandbox::bounded_text::text;
use crate::script::sandbox::guard::Guard;
use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::Tensor;
use rhai::{Dynamic, Engine, EvalAltResult, Map, NativeCallContext, Position};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Maximum depth of nested calls from one method to another.
const DEEPEST: usize = 3;
/// Maximum number of steps of an attack called by another method. Other methods run to completion.
pub const ATTACK_STEPS: usize = 100;
/// Keys of a stepped method's last state that are included in its result.
const SAID: [&str; 3] = ["x", "scalars", "done"];
/// Titles that identify a method's main figure if no figure is titled with the method's name.
const ANSWERS: [&str; 6] = ["attribution", "relevance", "cam", "heatmap", "gradient", "saliency"];

/// The folders to search for called methods, and the source code of those called so far.
#[derive(Clone)]
pub(in crate::script) struct MethodCaller {
    pub folders: Folders,
    pub read: CompiledLibraries,
    /// The source code of called methods, for error reports.
    pub asked: CompiledLibraries,
}

pub(in crate::script) fn register(engine: &mut Engine, guard: &Arc<Guard>, asking: MethodCaller) {
    let folders = asking.folders.clone();
    engine.register_fn("method", move |group: &str| choice(&folders, group, None).map_err(raise));
    let folders = asking.folders.clone();
    engine.register_fn("method", move |group: &str, name: &str| choice(&folders, group, Some(name)).map_err(raise));
    let (g, a) = (guard.clone(), asking.clone());
    engine.register_fn("answer", move |context: NativeCallContext, cx: Cx, name: &str| {
        a.answer(context.engine(), &g, &cx, name, Map::new()).map_err(raise)
    });
    let g = guard.clone();
    engine.register_fn("answer", move |context: NativeCallContext, cx: Cx, name: &str, options: Map| {
        asking.answer(context.engine(), &g, &cx, name, options).map_err(raise)
    });
}

/// Declares a parameter whose value is a method in the group `group` [default: `name`, or the first method of the group].
fn choice(folders: &Folders, group: &str, name: Option<&str>) -> Result<Declared> {
    let methods = folders.of_group(group);
    let first = methods.first().with_context(|| format!("there are no methods in the group \"{group}\""))?.clone();
    Ok(Declared::choice(methods, name.map_or(first, String::from)))
}

impl MethodCaller {
    /// Runs the method `name` on each picture of the batch separately and concatenates results of equal shape. With the option
    /// `together`, runs the method on all pictures as one batch if it supports this.
    fn answer(&self, engine: &Engine, guard: &Arc<Guard>, cx: &Cx, name: &str, options: Map) -> Result<Map> {
        let circle = || cx.asked.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(" -> ");
        ensure!(!cx.asked.iter().any(|n| n == name), "a method cannot call itself: {}", circle());
        ensure!(cx.asked.len() < DEEPEST, "method calls can be nested at most {DEEPEST} deep: {}", circle());
        let source = self.folders.find(name)?;
        let source = source.with_context(|| format!("no method named \"{name}\" in the plugin folders"))?;
        self.asked.add(name, &source.text);
        let method = compile(engine, guard, &self.read, source)?;
        let question = MethodCall::new(cx, &method, options)?;
        let idle = question.run(engine, cx, &method, question.input.clone(), question.targets.clone());
        let idle = idle.cx.nothing_to_do(guard, &method)?;
        if question.together && idle.contains(&false) {
            return question.ask_together(engine, cx, &method, &idle);
        }
        let shown = match idle.contains(&true) {
            true => Some(compile(engine, guard, &self.read, fooled::idle())?),
            false => None,
        };
        let mut answers = vec![];
        for (i, &target) in question.targets.iter().enumerate() {
            guard.tick()?;
            let input = match question.targets.len() {
                1 => question.input.clone(),
                _ => question.input.narrow(0, i, 1)?,
            };
            let method = shown.as_ref().filter(|_| idle[i]).unwrap_or(&method);
            answers.push(match question.ask(engine, cx, method, input.clone(), target) {
                Err(error) if question.lenient && not_finite(&error) => unknown(&input)?,
                answer => answer?,
            });
        }
        Ok(if answers.len() == 1 { answers.remove(0) } else { joined(answers)? })
    }
}

/// The arguments of a call: the pictures and their target classes, the network and the parameters.
#[derive(Clone)]
struct MethodCall {
    model: Model,
    input: Tensor,
    targets: Vec<usize>,
    params: Params,
    seed: u64,
    steps: usize,
    /// Whether to run all pictures as one batch and return only `x`, `scalars` and `done` from the last step, without figures.
    together: bool,
    /// Whether non-finite scores result in an `x` of NaN instead of an error.
    lenient: bool,
}

impl MethodCall {
    fn new(cx: &Cx, method: &Method, map: Map) -> Result<Self> {
        let known = ["input", "target", "model", "params", "seed", "steps", "together"];
        let options = CallOptions::new("answer", map.clone(), &known)?;
        let model = of::<Model>(&map, "model", "a network")?.unwrap_or_else(|| cx.model.clone());
        let input = of::<Tensor>(&map, "input", "a tensor")?.unwrap_or_else(|| cx.input.clone());
        let mut targets = map.get("target").map_or_else(|| Ok(cx.targets.clone()?), classes)?;
        let count = input.dims().first().copied().unwrap_or_default();
        ensure!(input.rank() > 1 && count > 0, "pictures must have shape (N, C, H, W), got {:?}", input.dims());
        if targets.len() == 1 {
            targets = vec![targets[0]; count];
        }
        ensure!(targets.len() == count, "got {} classes for {count} pictures", targets.len());
        let wrong = targets.iter().find(|&&t| t >= model.classes());
        let missing = wrong.filter(|_| model.classes() > 0);
        ensure!(missing.is_none(), "no class {}; the network has {} classes", missing.unwrap_or(&0), model.classes());
        let endless = if method.group == "attack" { ATTACK_STEPS } else { usize::MAX };
        Ok(Self {
            params: params(method, &model, map.get("params"))?,
            seed: options.whole("seed", cx.seed as i64)? as u64,
            steps: options.size("steps", endless)?,
            lenient: options.switch("together", false)?,
            together: options.switch("together", false)? && method.batched && method.stepped && count > 1,
            model,
            input,
            targets,
        })
    }

    /// Runs the method on one picture and returns its result.
    fn ask(&self, engine: &Engine, cx: &Cx, method: &Method, input: Tensor, target: usize) -> Result<Map> {
        let run = self.run(engine, cx, method, input, vec![target]);
        if !method.stepped {
            return run.answer(run.call("run", 0, None)?, "run", Map::new());
        }
        let (state, step) = run.to_the_end(self.steps)?;
        let end = state.read_lock::<Map>().context("the state of a stepped method must be a map")?.clone();
        run.answer(run.call("view", step, Some(state))?, "view", end)
    }

    /// Runs the method on all pictures as one batch and returns the result of the last step. Pictures that already fool the
    /// network (marked in `idle`) are left unchanged. If scores become non-finite, pictures are run separately.
    fn ask_together(&self, engine: &Engine, cx: &Cx, method: &Method, idle: &[bool]) -> Result<Map> {
        if idle.contains(&true) {
            return self.ask_the_rest(engine, cx, method, idle);
        }
        match self.ask_as_one(engine, cx, method) {
            Err(error) if not_finite(&error) => self.ask_apart(engine, cx, method),
            answer => answer,
        }
    }

    /// Runs the method on the pictures that do not yet fool the network, and copies all other pictures to the result unchanged.
    fn ask_the_rest(&self, engine: &Engine, cx: &Cx, method: &Method, idle: &[bool]) -> Result<Map> {
        let rows: Vec<_> = (0..idle.len()).filter(|&i| !idle[i]).collect();
        let places: Vec<_> = rows.iter().map(|&i| i as u32).collect();
        let input = self.input.index_select(&Tensor::new(places, self.input.device())?, 0)?;
        let targets = rows.iter().map(|&i| self.targets[i]).collect();
        let rest = Self { input, targets, ..self.clone() };
        let mut end = rest.ask_together(engine, cx, method, &vec![false; rows.len()])?;
        if let Some(x) = end.get("x").and_then(|x| x.clone().try_cast::<Tensor>()) {
            let row = |i: usize| match rows.binary_search(&i) {
                Ok(moved) => x.narrow(0, moved, 1),
                Err(_) => self.input.narrow(0, i, 1),
            };
            let all = (0..idle.len()).map(row).collect::<Result<Vec<_>, _>>()?;
            end.insert("x".into(), Dynamic::from(Tensor::cat(&all, 0)?));
        }
        Ok(end)
    }

    /// Runs the method on each picture separately and returns the final `x` of each run: NaN if the scores became non-finite.
    fn ask_apart(&self, engine: &Engine, cx: &Cx, method: &Method) -> Result<Map> {
        let mut answers = vec![];
        for (i, &target) in self.targets.iter().enumerate() {
            let input = self.input.narrow(0, i, 1)?;
            let end = self.run(engine, cx, method, input.clone(), vec![target]).to_the_end(self.steps);
            answers.push(match end {
                Err(error) if not_finite(&error) => unknown(&input)?,
                end => said(&end?.0)?,
            });
        }
        joined(answers)
    }

    fn ask_as_one(&self, engine: &Engine, cx: &Cx, method: &Method) -> Result<Map> {
        let run = self.run(engine, cx, method, self.input.clone(), self.targets.clone());
        said(&run.to_the_end(self.steps)?.0)
    }

    fn run<'a>(
        &self,
        engine: &'a Engine,
        cx: &Cx,
        method: &'a Method,
        input: Tensor,
        targets: Vec<usize>,
    ) -> MethodRun<'a> {
        let asked = cx.asked.iter().chain([&method.name]).cloned().collect();
        let observer = Arc::new(NestedObserver { name: method.name.clone(), observer: cx.observer.clone() });
        let same = input.id() == cx.input.id();
        let inner = Cx {
            model: method.exactly(&self.model),
            source: cx.source.clone().filter(|_| same),
            input,
            targets: Ok(targets),
            params: Arc::new(self.params.clone()),
            used: Arc::default(),
            step: 0,
            seed: self.seed,
            asked,
            stream: method.stream(),
            observer,
            ..cx.clone()
        };
        MethodRun { engine, method, cx: inner }
    }
}

/// A run of a method called by another method.
struct MethodRun<'a> {
    engine: &'a Engine,
    method: &'a Method,
    cx: Cx,
}

impl MethodRun<'_> {
    fn call(&self, function: &str, step: usize, state: Option<Dynamic>) -> Result<Dynamic> {
        let cx = Cx { step, draws: Arc::new(AtomicU64::new(0)), ..self.cx.clone() };
        let answer = match state {
            None => call(self.engine, self.method, function, (cx,)),
            Some(state) => call(self.engine, self.method, function, (cx, state)),
        };
        answer.map_err(|e| self.wrong(function, *e))
    }

    /// Runs the method until it ends, for at most `steps` steps. Returns the last state and its step index.
    fn to_the_end(&self, steps: usize) -> Result<(Dynamic, usize)> {
        let mut state = self.call("start", 0, None)?;
        let mut step = 0;
        while step < steps && !done(&state) {
            step += 1;
            state = self.call("step", step, Some(state))?;
            ensure!(state.is::<Map>(), "the method \"{}\" returned a state that is not a map", self.method.name);
            self.cx.observer.progress("step", step, 0);
        }
        Ok((state, step))
    }

    /// Builds the result of a run: the raw tensors of figures by title, the main figure as `map`, and the entries of `end`, the
    /// last state, that [`SAID`] lists.
    fn answer(&self, answer: Dynamic, function: &str, end: Map) -> Result<Map> {
        let figures = figures(answer).map_err(|e| self.wrong(function, *raise(e)))?;
        let mut map = Map::new();
        for figure in &figures {
            if let Some(values) = self.tensor(figure)? {
                map.insert(figure.title.as_str().into(), values);
            }
        }
        if let Some(figure) = main_figure(&self.method.name, &figures) {
            map.insert("map".into(), self.tensor(figure)?.unwrap_or(Dynamic::UNIT));
        }
        for key in SAID {
            if let Some(value) = end.get(key) {
                map.insert(key.into(), value.clone());
            }
        }
        Ok(map)
    }

    /// The raw values of a figure as a tensor `(N, C, H, W)`; `None` if the figure has none.
    fn tensor(&self, figure: &Figure) -> Result<Option<Dynamic>> {
        let Some(values) = figure.values() else { return Ok(None) };
        let mut shape = values.shape.clone();
        while shape.len() < 4 {
            shape.insert(0, 1);
        }
        let device = self.cx.input.device();
        let tensor = match &values.exact {
            Some(exact) => Tensor::from_slice(exact, shape, device)?,
            None => Tensor::from_slice(&values.data, shape, device)?,
        };
        Ok(Some(Dynamic::from(tensor)))
    }

    /// Converts an error in the called method, keeping its position in that method's source code.
    fn wrong(&self, function: &str, error: EvalAltResult) -> anyhow::Error {
        let place = || line_with(&self.method.source.text, &format!("fn {function}(")).unwrap_or(Position::NONE);
        let error = match error {
            EvalAltResult::ErrorRuntime(text, Position::NONE) => EvalAltResult::ErrorRuntime(text, place()).into(),
            other => Box::new(other),
        };
        if matches!(*error, EvalAltResult::ErrorTerminated(..)) {
            return Inner(error).into();
        }
        let name = self.method.name.clone();
        let error = EvalAltResult::ErrorInFunctionCall(function.into(), name, error, Position::NONE);
        anyhow::Error::from(Inner(error.into()))
    }
}

/// Whether an error was caused by non-finite scores of a network.
fn not_finite(error: &anyhow::Error) -> bool {
    ScoresNotFinite::is_told_in(&format!("{error:#}"))
}

/// The result of an attack that ended due to non-finite scores: an `x` of NaN.
fn unknown(input: &Tensor) -> Result<Map> {
    Ok(Map::from([("x".into(), Dynamic::from((input.ones_like()? * f64::NAN)?))]))
}

/// The entries of a stepped method's last state that are included in its result.
fn said(state: &Dynamic) -> Result<Map> {
    let end = state.read_lock::<Map>().context("the state of a stepped method must be a map")?.clone();
    Ok(end.into_iter().filter(|(key, _)| SAID.contains(&key.as_str())).collect())
}

/// Whether the entry `done` marks a state as the last one of its run.
fn done(state: &Dynamic) -> bool {
    state.read_lock::<Map>().is_some_and(|s| s.get("done").is_some_and(|d| !d.is_unit()))
}

/// The main figure of a method: the heatmap titled with the method's name, otherwise the heatmap whose title comes first in [`ANSWERS`],
/// otherwise the first heatmap.
fn main_figure<'a>(method: &str, figures: &'a [Figure]) -> Option<&'a Figure> {
    let maps: Vec<_> = figures.iter().filter(|f| matches!(f.body, Body::Map { .. })).collect();
    let titled = |title: &str| maps.iter().find(|f| f.title == title).copied();
    [method].into_iter().chain(ANSWERS).find_map(titled).or(maps.first().copied())
}

/// Combines the results for several pictures. Tensors of equal shape `(1, …)` are concatenated into a batch.
fn joined(answers: Vec<Map>) -> Result<Map> {
    let mut all = Map::new();
    for key in answers[0].keys() {
        let parts: Vec<_> = answers.iter().filter_map(|a| a.get(key)).collect();
        let tensors: Vec<_> = parts.iter().filter_map(|p| p.read_lock::<Tensor>().map(|t| t.clone())).collect();
        let shape = tensors.first().map(|t| t.dims().to_vec()).unwrap_or_default();
        let alike = tensors.len() == answers.len() && tensors.iter().all(|t| t.dims() == shape && shape[0] == 1);
        let value = match alike {
            true => Dynamic::from(Tensor::cat(&tensors, 0)?),
            false => parts.into_iter().cloned().collect::<rhai::Array>().into(),
        };
        all.insert(key.clone(), value);
    }
    Ok(all)
}

/// The value of the option `key`, if present. Errors if its type is not `T`, which `what` describes in the message.
fn of<T: Clone + 'static>(options: &Map, key: &str, what: &str) -> Result<Option<T>> {
    let Some(value) = options.get(key) else { return Ok(None) };
    let wrong = || anyhow!("option \"{key}\" of answer must be {what}, got {}", value.type_name());
    value.read_lock::<T>().map(|v| Some(v.clone())).ok_or_else(wrong)
}

/// The parameters of `method`, with values from a map or from a string such as `layer=conv1 relu=false` in the syntax of `--set`.
fn params(method: &Method, model: &Model, given: Option<&Dynamic>) -> Result<Params> {
    let mut params = Params::new(method.params.clone());
    let setting = |name: &str, text: &str| format!("calling {} with {name}={text}", method.name);
    for (name, text) in given.map(pairs).transpose()?.unwrap_or_default() {
        params.set(&name, &text, model).with_context(|| setting(&name, &text))?;
    }
    Ok(params)
}

fn pairs(given: &Dynamic) -> Result<Vec<(String, String)>> {
    if let Some(map) = given.read_lock::<Map>() {
        return Ok(map.iter().map(|(name, value)| (name.to_string(), text(value))).collect());
    }
    let Ok(text) = given.clone().into_string() else {
        bail!("`params` of answer must be a map or a string \"layer=conv1 relu=false\", got {}", given.type_name());
    };
    let pair = |word: &str| {
        let (name, value) =
            word.split_once('=').with_context(|| format!("\"{word}\" is not of the form name=value"))?;
        Ok((name.to_string(), value.to_string()))
    };
    text.split_whitespace().map(pair).collect()
}

/// Forwards the progress of a called method to the caller's observer, but not its figures.
struct NestedObserver {
    name: String,
    observer: Arc<dyn Observer>,
}

impl Observer for NestedObserver {
    fn show(&self, _: Vec<Figure>) {}

    fn progress(&self, what: &str, done: usize, total: usize) {
        self.observer.progress(&format!("{}: {what}", self.name), done, total);
    }
}
