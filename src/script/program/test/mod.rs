//! Tests of what a network looks at, for `gradscope test`: `test(name, #{ method, input, target, expect: #{ … } })`.
//!
//! Each expectation has a module and is listed in `EXPECTATIONS`.

mod accuracy;
mod bounds;
mod class;
mod expectation;
mod fooled;
mod golden;
mod maximum;
mod probability;
mod region;
mod robust_accuracy;
mod share;
mod subject;

use super::{Console, Setting};
use crate::data::create_folder;
use crate::model::Model;
use crate::render::Figure;
use crate::script::api::options::CallOptions;
use crate::script::export::{self, names::Names};
use crate::script::folders::ScriptSource;
use crate::script::host::Host;
use crate::script::report::raise;
use crate::sync::LockUnpoisoned;
use anyhow::{Context, Result, ensure};
pub use expectation::{ExpectationSpec, Verdict};
use rhai::{Engine, Map, NativeCallContext};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use subject::Subject;

/// All expectations.
#[rustfmt::skip]
pub const EXPECTATIONS: &[ExpectationSpec] = &[
    share::SPEC,
    maximum::SPEC,
    golden::SPEC,
    class::SPEC,
    probability::SPEC,
    fooled::SPEC,
    accuracy::SPEC,
    robust_accuracy::SPEC,
];

/// The options of a test apart from those of `run`.
const OWN: [&str; 3] = ["method", "figure", "expect"];

/// Maximum length of a test's name in characters.
const LONGEST: usize = 200;

/// How tests are run.
#[derive(Clone, Default)]
pub struct TestPlan {
    /// The network of tests that name none; `None` for the built-in one.
    pub model: Option<Model>,
    /// Whether to write golden maps instead of comparing with them.
    pub update: bool,
    /// Run only the tests whose names contain one of these texts; all if empty.
    pub only: Vec<String>,
}

/// The outcome of a test.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Name of the test.
    pub name: String,
    /// Line in the file at which the test is called, starting at 1; 0 if unknown.
    pub line: usize,
    /// Duration of the test.
    pub took: Duration,
    /// What was measured; empty if the test ended with an error.
    pub verdicts: Vec<Verdict>,
    /// The error that ended the test.
    pub error: Option<String>,
    /// The figures of the method, if it failed.
    pub figures: Vec<Figure>,
}

impl Outcome {
    /// Whether all expectations are met.
    pub fn passed(&self) -> bool {
        self.error.is_none() && self.verdicts.iter().all(|verdict| verdict.met)
    }

    /// Why the test failed: its error, and the expectations that are not met.
    pub fn reasons(&self) -> Vec<String> {
        let unmet = self.verdicts.iter().filter(|verdict| !verdict.met).map(Verdict::to_string);
        self.error.iter().cloned().chain(unmet).collect()
    }
}

/// The outcomes of the tests so far.
type Outcomes = Arc<Mutex<Vec<Outcome>>>;

/// Runs the tests in a file from top to bottom; `each` receives every outcome. A test that fails does not end the others.
///
/// Errors if the file fails outside of a test, if it is cancelled, or if no test was run.
pub fn tests(
    host: Arc<Host>,
    source: &ScriptSource,
    plan: &TestPlan,
    desk: Arc<dyn Console>,
    each: impl Fn(&Outcome) -> Result<()> + Send + Sync + 'static,
) -> Result<Vec<Outcome>> {
    let setting = Setting { model: plan.model.clone(), ..Setting::new(host, desk) };
    let outcomes = Outcomes::default();
    let (own, told, plan) = (setting.clone(), outcomes.clone(), plan.clone());
    let register = move |engine: &mut Engine| {
        engine.register_fn("test", move |context: NativeCallContext, name: &str, options: Map| {
            let line = context.call_position().line().unwrap_or(0);
            one(&own, &plan, &told, (name, line), options, &each).map_err(raise)
        });
    };
    setting.execute(source, &[], register)?;
    let outcomes = std::mem::take(&mut *outcomes.lock_unpoisoned());
    ensure!(!outcomes.is_empty(), "no test was run; a test file calls test(NAME, #{{ …, expect: #{{ … }} }})");
    Ok(outcomes)
}

/// Runs one test unless it is filtered out.
fn one(
    setting: &Setting,
    plan: &TestPlan,
    told: &Outcomes,
    (name, line): (&str, usize),
    options: Map,
    each: &impl Fn(&Outcome) -> Result<()>,
) -> Result<()> {
    if !plan.only.is_empty() && !plan.only.iter().any(|text| name.contains(text.as_str())) {
        return Ok(());
    }
    let begun = Instant::now();
    setting.desk.observer().progress(name, told.lock_unpoisoned().len(), 0);
    let mut figures = vec![];
    let ran = judged(setting, plan, options, &mut figures);
    if ran.is_err() && setting.host.guard().is_cancelled() {
        return ran.map(drop);
    }
    let (verdicts, error) = match ran {
        Ok(verdicts) => (verdicts, None),
        Err(error) => (vec![], Some(format!("{error:#}"))),
    };
    let name = name.chars().take(LONGEST).collect();
    let mut outcome = Outcome { name, line, took: begun.elapsed(), verdicts, error, figures: vec![] };
    if !outcome.passed() {
        outcome.figures = figures;
    }
    each(&outcome)?;
    told.lock_unpoisoned().push(outcome);
    Ok(())
}

/// Checks all expectations of a test. `figures` receives the figures of its method.
fn judged(setting: &Setting, plan: &TestPlan, map: Map, figures: &mut Vec<Figure>) -> Result<Vec<Verdict>> {
    let known = [&super::run::OPTIONS[..], &OWN].concat();
    let options = CallOptions::new("test", map, &known)?;
    let wanted =
        options.raw("expect").context("a test needs `expect`: #{ share: #{ inside: [0, 0, 8, 8], at_least: 0.5 } }")?;
    let wanted = wanted.read_lock::<Map>().context("`expect` must be a map: #{ class: \"star\" }")?.clone();
    let names: Vec<_> = EXPECTATIONS.iter().map(|spec| spec.name).collect();
    let wanted = CallOptions::new("expect", wanted, &names)?;
    let checks: Vec<_> = EXPECTATIONS.iter().filter_map(|spec| Some((spec, wanted.raw(spec.name)?))).collect();
    ensure!(!checks.is_empty(), "`expect` is empty; available: {}", names.join(", "));
    let subject = Subject::new(setting, plan.update, &options)?;
    figures.extend(subject.figures().iter().cloned());
    let judge = |(spec, value): (&ExpectationSpec, _)| (spec.check)(&subject, value).with_context(|| spec.name);
    Ok(checks.into_iter().map(judge).collect::<Result<Vec<_>>>()?.concat())
}

/// Writes the figures of failed tests to `folder`, a folder for each test, and returns these folders by the tests' indices.
pub fn write_failures(folder: &Path, outcomes: &[Outcome]) -> Result<Vec<(usize, PathBuf)>> {
    let mut names = Names::without("");
    let mut written = vec![];
    for (index, outcome) in outcomes.iter().enumerate().filter(|(_, outcome)| !outcome.figures.is_empty()) {
        let own = folder.join(names.next(&outcome.name));
        create_folder(&own)?;
        export::figures(&own, &outcome.figures, export::paint)?;
        written.push((index, own));
    }
    Ok(written)
}
